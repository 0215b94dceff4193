"""Models that refuse the ceiling which we name where a request has none, as more than they ever answer with.

What they answer is then shorter than what is held in any case: the call is sent again without it, within its hold.
"""

from kvot.gateway.refusers import UNACCEPTED

_NAMES = (
    b"max_tokens",
    b"max_completion_tokens",
    b"max_output_tokens",
    b"maxOutputTokens",
    b"num_predict",
    b"context length",
    b"context_length",
)
"""What such a refusal names: the member, or the window that the answer shares with the request."""

_UNKNOWN = (b"unrecognized", b"unsupported", b"not supported", b"unknown", b"unexpected", b"extra", b"not permitted")
"""Words of a refusal by a provider that knows no such ceiling at all: this one says nothing of how long answers are."""


def is_too_high(status: int, refusal: bytes, *, is_clamped: bool) -> bool:
    """Whether a provider refused the ceiling that we had named, so that the call may go without.

    is_clamped: the ceiling is what was left of the budget, so that an answer without any could pass it.
    """
    if status not in UNACCEPTED or not any(name in refusal for name in _NAMES):
        return False
    return not (is_clamped and any(word in refusal.lower() for word in _UNKNOWN))
