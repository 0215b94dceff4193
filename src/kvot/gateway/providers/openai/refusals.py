"""Replies of our own in OpenAI's shape, and its family of headers with our figures."""

from typing import Any

import msgspec

from kvot.core.errors import BudgetExceeded, InvalidRequest, KvotError
from kvot.core.window import MS_PER_SECOND
from kvot.gateway.dialect import PREVIOUS_REPLY_NOT_FOUND, Limits, Pair, Refusal
from kvot.gateway.providers.refusals import budget_block, error_headers, error_status, response_status, retry_headers

_EXHAUSTED = ("insufficient_quota", "project_spend_limit_exceeded")
_SHORT_TERM = ("tokens", "rate_limit_exceeded")


def exhausted(limits: Limits, message: str, request_id: str, status: int) -> Refusal:
    document = {
        "error": _error(message, *(_SHORT_TERM if limits.is_short_term else _EXHAUSTED)),
        "responseStatus": response_status(BudgetExceeded.code, message),
        "kvot": budget_block(limits),
    }
    return _refusal(status, document, request_id, retry_headers(limits))


_INVALID = "invalid_request_error"

# By status: the type and the code in OpenAI's words. Others below 500 are invalid requests, and above it its own.
_WORDS: dict[int, tuple[str, str | None]] = {
    401: (_INVALID, "invalid_api_key"),
    403: ("permission_error", "insufficient_permissions"),
    404: (_INVALID, "not_found"),
    413: (_INVALID, "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
    504: ("server_error", "timeout"),
}
_CODES = {PREVIOUS_REPLY_NOT_FOUND: "previous_response_not_found"}
_OURS_FROM = 500


def failed(error: KvotError, status: int, request_id: str) -> Refusal:
    kind, code = _WORDS.get(status, (_INVALID if status < _OURS_FROM else "server_error", _CODES.get(error.code)))
    param = error.fields[0].field if isinstance(error, InvalidRequest) and error.fields else None
    document = {"error": _error(error.message, kind, code, param), "responseStatus": error_status(error)}
    return _refusal(status, document, request_id, error_headers(error))


def _error(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param, "code": code}


def _refusal(status: int, document: dict[str, Any], request_id: str, headers: tuple[Pair, ...]) -> Refusal:
    always = ((b"content-type", b"application/json"), (b"x-request-id", request_id.encode()))
    return Refusal(status, (*always, *headers), msgspec.json.encode(document))


def limit_headers(limits: Limits) -> tuple[Pair, ...]:
    return (
        (b"x-ratelimit-limit-tokens", b"%d" % limits.token_limit),
        (b"x-ratelimit-remaining-tokens", b"%d" % limits.tokens_remaining),
        (b"x-ratelimit-reset-tokens", duration(limits.reset_ms).encode()),
    )


_MINUTE_MS = 60 * MS_PER_SECOND
_HOUR_MS = 60 * _MINUTE_MS


def duration(ms: int) -> str:
    """As OpenAI writes one: 12ms, 6m0s, 24h0m0s; whole seconds, rounded up, from a second on."""
    if 0 < ms < MS_PER_SECOND:
        return f"{ms}ms"
    ms = -(-ms // MS_PER_SECOND) * MS_PER_SECOND
    hours, minutes, seconds = ms // _HOUR_MS, ms % _HOUR_MS // _MINUTE_MS, ms % _MINUTE_MS // MS_PER_SECOND
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
