"""Replies of our own in Ollama's shape, which is one sentence. It has no family of headers for limits."""

from typing import Any

import msgspec

from kvot.core.errors import BudgetExceeded, KvotError
from kvot.gateway.dialect import Limits, Pair, Refusal
from kvot.gateway.providers.refusals import budget_block, error_headers, error_status, response_status, retry_headers


def exhausted(limits: Limits, message: str, request_id: str, status: int) -> Refusal:
    document = {
        "error": message,
        "responseStatus": response_status(BudgetExceeded.code, message),
        "kvot": budget_block(limits),
    }
    return _refusal(status, document, request_id, retry_headers(limits))


def failed(error: KvotError, status: int, request_id: str) -> Refusal:
    document = {"error": error.message, "responseStatus": error_status(error)}
    return _refusal(status, document, request_id, error_headers(error))


def _refusal(status: int, document: dict[str, Any], request_id: str, headers: tuple[Pair, ...]) -> Refusal:
    always = ((b"content-type", b"application/json"), (b"x-request-id", request_id.encode()))
    return Refusal(status, (*always, *headers), msgspec.json.encode(document))
