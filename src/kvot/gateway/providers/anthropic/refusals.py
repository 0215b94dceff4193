"""Replies of our own in Anthropic's shape, and its family of headers with our figures."""

from typing import Any

import msgspec

from kvot.core.errors import BudgetExceeded, InvalidRequest, KvotError
from kvot.core.window import MS_PER_SECOND
from kvot.gateway.dialect import Limits, Pair, Refusal
from kvot.gateway.providers.anthropic.stored import THREAD
from kvot.gateway.providers.refusals import budget_block, error_headers, error_status, response_status, retry_headers
from kvot.wire.scalars import utc

_EXHAUSTED_DETAILS = {"error_code": "enforced_spend_limit_reached"}
"""The clients know this code, and raise an error of its own that is a RateLimitError as well."""
_THREAD_DETAILS = {"error_code": "thread_not_found"}
"""By this code the official client sends the whole conversation in its stead. Its tool runner threads unasked."""


def exhausted(limits: Limits, message: str, request_id: str, status: int) -> Refusal:
    details = {} if limits.is_short_term else {"details": _EXHAUSTED_DETAILS}
    document = {
        "type": "error",
        "error": {"type": _kind(status), "message": message, **details},
        "request_id": request_id,
        "responseStatus": response_status(BudgetExceeded.code, message),
        "kvot": budget_block(limits),
    }
    return _refusal(status, document, request_id, retry_headers(limits))


def failed(error: KvotError, status: int, request_id: str) -> Refusal:
    is_of_thread = isinstance(error, InvalidRequest) and any(each.field == THREAD for each in error.fields)
    details = {"details": _THREAD_DETAILS} if is_of_thread else {}
    document = {
        "type": "error",
        "error": {"type": _kind(status), "message": error.message, **details},
        "request_id": request_id,
        "responseStatus": error_status(error),
    }
    return _refusal(status, document, request_id, error_headers(error))


_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OURS_FROM = 500


def _kind(status: int) -> str:
    return _KINDS.get(status, "invalid_request_error" if status < _OURS_FROM else "api_error")


def _refusal(status: int, document: dict[str, Any], request_id: str, headers: tuple[Pair, ...]) -> Refusal:
    always = ((b"content-type", b"application/json"), (b"request-id", request_id.encode()))
    return Refusal(status, (*always, *headers), msgspec.json.encode(document))


def limit_headers(limits: Limits) -> tuple[Pair, ...]:
    reset_ms = limits.now_ms + limits.reset_ms
    reset = utc(-(-reset_ms // MS_PER_SECOND) * MS_PER_SECOND).isoformat(timespec="seconds") + "Z"
    return (
        (b"anthropic-ratelimit-tokens-limit", b"%d" % limits.token_limit),
        (b"anthropic-ratelimit-tokens-remaining", b"%d" % limits.tokens_remaining),
        (b"anthropic-ratelimit-tokens-reset", reset.encode()),
    )
