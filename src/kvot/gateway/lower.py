"""Models that refuse the ceiling which we name where a request has none, as more than they may answer with.

Their refusal says how much that is: the call is sent again with it as its ceiling. It is never sent without any, since
what a refusal says may be a client's doing, and an answer without a ceiling could be longer than what is held for it.
"""

import re
from typing import NamedTuple

from kvot.gateway.known import UNACCEPTED

_NAMES = (b"max_tokens", b"max_completion_tokens", b"max_output_tokens", b"max_new_tokens", b"maxOutputTokens")
_WINDOW = (b"context", b"inputs", b"input tokens")
"""Words of a refusal that is of the window which an answer shares with its request, and so of this call alone."""

_EXCLUSIVE = b"exclusive"
_BYTES_MAX = 16_384
_WHOLE = re.compile(rb"(?<![\w.-])\d{1,9}(?![\w-])")
"""None that is a part of a name, such as gpt-4o-2024-08-06."""
_THOUSANDS = re.compile(rb"(?<=\d),(?=\d{3}(?!\d))")


class Lower(NamedTuple):
    """A ceiling to try. `is_of_model`: others of its calls may go with it at once."""

    output_max: int
    is_of_model: bool


def lower_ceiling(status: int, refusal: bytes, named: int, least: int) -> Lower | None:
    """What a provider that refused the ceiling `named` may take, and is no less than `least`; None: it does not say."""
    refusal = refusal[:_BYTES_MAX]
    is_of_window = any(word in refusal for word in _WINDOW)
    if status not in UNACCEPTED or not (is_of_window or any(name in refusal for name in _NAMES)):
        return None
    quoted = sorted({n for n in map(int, _WHOLE.findall(_THOUSANDS.sub(b"", refusal))) if least <= n < named})
    if not quoted:
        return None
    most = quoted[-1]
    if is_of_window and len(quoted) > 1:
        most -= quoted[-2]  # the window less the request
    elif _EXCLUSIVE in refusal:
        most -= 1
    return Lower(most, not is_of_window) if most >= least else None
