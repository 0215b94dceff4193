"""Documents that are nearly what the strict reader takes, made so that it takes them: for meters, never to be sent on.

Some providers write one thing for which it refuses the whole: a number beyond all bounds, NaN, half of a pair of
surrogates where an answer was cut within a character, a byte that is not UTF-8. The rest still tells what was
generated, and mostly what was used.
"""

import json
from math import isfinite

MENDED_BYTES_MAX = 262_144
"""Of a document. This reader takes ten times as long as the strict one, some 40 ms for so much; an answer of 60,000
tokens fits."""

_NO_FIGURE = -1
"""In the place of a number that is none: no count of tokens either, so that a usage with it is none."""

_DIGITS_MAX = 19
"""More have no place in 64 bits, and none in a count of tokens."""


def mended(document: bytes) -> bytes:
    """Raises ValueError for what is too long or no JSON at all, and RecursionError."""
    if len(document) > MENDED_BYTES_MAX:
        raise ValueError("too long to be mended")
    text = document.decode(errors="replace")
    value = json.loads(text, parse_int=_whole, parse_float=_number, parse_constant=lambda _name: _NO_FIGURE)
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _whole(text: str) -> int:
    return int(text) if len(text) <= _DIGITS_MAX else _NO_FIGURE


def _number(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _NO_FIGURE
