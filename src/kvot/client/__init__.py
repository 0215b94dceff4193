"""Talking to a running server. Requests and replies are made and read without I/O; two thin shells carry them.

    with Client("http://127.0.0.1:8080", "kvot_…") as kvot, kvot.hold(1_500, model="gpt-5") as hold:
        reply = ...                                     # call the provider
        hold.settle(reply.usage.total_tokens)

`AsyncClient` is the same with `async with` and `await`. What does not fit the budget raises `BudgetExceeded`, with its
`usage` and `retry_after_s`. Every error is a `KvotError`, but for wrong use: `TypeError` for a name or a type, and
`RuntimeError` for a client that was closed or is of another event loop, and for a hold that is entered again. What may
be counted on where the network fails: docs/guides/client.md.
"""

from kvot.client.aio import AsyncClient, AsyncHold
from kvot.client.holds import UnsettledHold
from kvot.client.sync import Client, Hold
from kvot.core.errors import (
    BudgetExceeded,
    Conflict,
    Forbidden,
    InvalidRequest,
    KvotError,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    RequestTooLarge,
    StoreUnavailable,
    TooManyRequests,
)

__all__ = [
    "AsyncClient",
    "AsyncHold",
    "BudgetExceeded",
    "Client",
    "Conflict",
    "Forbidden",
    "Hold",
    "InvalidRequest",
    "KvotError",
    "MethodNotAllowed",
    "NotAuthenticated",
    "NotFound",
    "RequestTooLarge",
    "StoreUnavailable",
    "TooManyRequests",
    "UnsettledHold",
]
