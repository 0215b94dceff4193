"""Models that refuse the ceiling which we name where a request has none, as more than they may answer with.

Their refusal says how much that is: the call is sent again with it as its ceiling. It is never sent without any, since
what a refusal says may be a client's doing, and an answer without a ceiling could be longer than what is held for it.
Nor is it remembered where it may be (own_words.py): the answers of others would be as short as that client likes.
"""

import re
from typing import NamedTuple

from kvot.gateway.own_words import can_be_quoted, said_by

_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "maxOutputTokens")
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


def lower_ceiling(refusal: bytes, named: int, least: int, request: bytes) -> Lower | None:
    """What a provider that refused the ceiling `named` may take, and is no less than `least`; None: it does not say.

    request: the client's own, which names no ceiling. A refusal of ours begins with its name, or quotes it.
    """
    is_of_window = any(word in refusal for word in _WINDOW)
    if not (is_of_window or any(name.encode() in refusal for name in _NAMES)):
        return None
    numbers = set(map(int, _WHOLE.findall(_THOUSANDS.sub(b"", refusal[:_BYTES_MAX]))))
    quoted = sorted(n for n in numbers if least <= n < named)
    is_about = said_by(refusal).is_about(_NAMES)
    if not quoted or not (is_about or named in numbers):
        return None
    most = quoted[-1]
    if is_of_window and len(quoted) > 1:
        most -= quoted[-2]  # the window less the request
    elif _EXCLUSIVE in refusal:
        most -= 1
    is_of_model = not is_of_window and (is_about or not can_be_quoted(request, _NAMES))
    return Lower(most, is_of_model) if most >= least else None
