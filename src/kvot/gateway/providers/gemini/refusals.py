"""Replies of our own in the shape of Google's APIs. They have no family of headers for limits."""

from typing import Any

import msgspec

from kvot.core.errors import BudgetExceeded, InvalidRequest, KvotError
from kvot.gateway.dialect import Limits, Pair, Refusal
from kvot.gateway.providers.refusals import (
    KEY_REFUSED,
    budget_block,
    error_headers,
    error_status,
    response_status,
    retry_headers,
)

_TYPE = "type.googleapis.com/google.rpc."


def exhausted(limits: Limits, message: str, request_id: str, status: int) -> Refusal:
    violation = {"subject": "kvot", "description": message}
    details = [{"@type": f"{_TYPE}QuotaFailure", "violations": [violation]}]
    document = {
        "error": _error(status, "RESOURCE_EXHAUSTED", message, [*details, *_ends(limits.retry_after_s, request_id)]),
        "responseStatus": response_status(BudgetExceeded.code, message),
        "kvot": budget_block(limits),
    }
    return _refusal(status, document, retry_headers(limits))


def failed(error: KvotError, status: int, request_id: str) -> Refusal:
    details = [*_bad_fields(error), *_ends(error.retry_after_s, request_id)]
    document = {
        "error": _error(status, _word(status), error.message, details),
        "responseStatus": error_status(error),
    }
    return _refusal(status, document, error_headers(error))


_INVALID = 400
_WRONG_KEY = b'"API_KEY_INVALID"'
"""The reason of an ErrorInfo. What quotes a client's words has a backslash before the quote."""


def refuses_key(status: int, body: bytes) -> bool:
    """A key that is wrong or has run out is an invalid argument to Google, told apart by its reason."""
    return status in KEY_REFUSED or (status == _INVALID and _WRONG_KEY in body)


_WORDS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_OURS_FROM = 500


def _word(status: int) -> str:
    return _WORDS.get(status, "INVALID_ARGUMENT" if status < _OURS_FROM else "INTERNAL")


def _error(status: int, word: str, message: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    return {"code": status, "message": message, "status": word, "details": details}


def _bad_fields(error: KvotError) -> list[dict[str, Any]]:
    if not isinstance(error, InvalidRequest) or not error.fields:
        return []
    violations = [{"field": each.field, "description": each.message} for each in error.fields]
    return [{"@type": f"{_TYPE}BadRequest", "fieldViolations": violations}]


def _ends(wait_s: int | None, request_id: str) -> list[dict[str, Any]]:
    retry = [] if wait_s is None else [{"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait_s}s"}]
    return [*retry, {"@type": f"{_TYPE}RequestInfo", "requestId": request_id}]


def _refusal(status: int, document: dict[str, Any], headers: tuple[Pair, ...]) -> Refusal:
    return Refusal(status, ((b"content-type", b"application/json"), *headers), msgspec.json.encode(document))
