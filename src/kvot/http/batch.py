"""Batches: many requests of one operation in one body, carried out in order until one fails.

What was done before the failure stays done: the reply says how many, and which one failed.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kvot.contract.describe import Request, Response
from kvot.core.errors import InvalidRequest, KvotError
from kvot.http.limits import IDEMPOTENCY_KEY_LENGTH_MAX
from kvot.operations import Caller

ITEMS_MAX = 1_000
"""Each item is an operation of its own, at a few hundred microseconds; for events in bulk there is the import."""

COMPLETED = b"x-autobatch-completed"


class BatchFailed(Exception):
    """An item failed. `index` is its place, and so the number of items that were completed before it."""

    def __init__(self, index: int, error: KvotError) -> None:
        super().__init__(index)
        self.index = index
        self.error = error


async def perform_all(
    documents: Sequence[Any], bind: Callable[[Any], Request], perform_one: Callable[[int, Request], Awaitable[Response]]
) -> list[Response]:
    """The responses in order. An item is bound when its turn comes. Raises BatchFailed."""
    responses: list[Response] = []
    for index, document in enumerate(documents):
        try:
            responses.append(await perform_one(index, bind(document)))
        except KvotError as error:
            raise BatchFailed(index, error) from error
    return responses


def caller_of_item(caller: Caller, index: int) -> Caller:
    """The caller with a key for this item alone: under the batch's own key the second item would repeat the first."""
    if caller.idempotency_key is None:
        return caller
    key = f"{caller.idempotency_key}[{index}]"
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise InvalidRequest("The header Idempotency-Key is too long for a batch: its items add their number.")
    return caller._replace(idempotency_key=key)
