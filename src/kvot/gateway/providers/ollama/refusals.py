"""Replies of our own in Ollama's shape, which is one sentence. It has no family of headers for limits."""

from typing import Any

import msgspec

from kvot.core.errors import BudgetExceeded, KvotError, whole_seconds
from kvot.gateway.dialect import Limits, Pair, Refusal
from kvot.gateway.providers.refusals import (
    budget_block,
    error_status,
    response_status,
    retry_after_s,
)


def exhausted(limits: Limits, message: str, request_id: str, status: int) -> Refusal:
    document = {
        "error": message,
        "responseStatus": response_status(BudgetExceeded.code, message),
        "kvot": budget_block(limits),
    }
    wait_s = None if limits.retry_after_ms is None else whole_seconds(limits.retry_after_ms)
    return _refusal(status, document, request_id, wait_s, [(b"x-should-retry", b"false")])


def failed(error: KvotError, status: int, request_id: str) -> Refusal:
    document = {"error": error.message, "responseStatus": error_status(error)}
    return _refusal(status, document, request_id, retry_after_s(error), [])


def _refusal(
    status: int, document: dict[str, Any], request_id: str, wait_s: int | None, headers: list[Pair]
) -> Refusal:
    always = ((b"content-type", b"application/json"), (b"x-request-id", request_id.encode()))
    wait = [] if wait_s is None else [(b"retry-after", b"%d" % wait_s)]
    return Refusal(status, (*always, *headers, *wait), msgspec.json.encode(document))
