"""Batches: many requests of one operation in one body, carried out in order until one fails.

What was done before the failure stays done: the reply says how many, and which one failed.
"""

from kvot.core.errors import InvalidRequest
from kvot.http.limits import IDEMPOTENCY_KEY_LENGTH_MAX
from kvot.operations import Caller

ITEMS_MAX = 1_000
"""Each item is an operation of its own, at a few hundred microseconds; for events in bulk there is the import."""


def completed(items: int) -> tuple[bytes, bytes]:
    """The header that says how many were carried out."""
    return b"x-autobatch-completed", b"%d" % items


def failed_item(index: int | None) -> dict[str, str] | None:
    """What a ResponseStatus says of the item that failed: its place. None for what is no batch."""
    return None if index is None else {"AutoBatchIndex": str(index)}


def caller_of_item(caller: Caller, index: int) -> Caller:
    """The caller with a key for this item alone: under the batch's own key the second item would repeat the first."""
    caller = caller._replace(is_told=False)
    if caller.idempotency_key is None:
        return caller
    key = f"{caller.idempotency_key}[{index}]"
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise InvalidRequest("The header Idempotency-Key is too long for a batch: its items add their number.")
    return caller._replace(idempotency_key=key)
