"""The one table from what can go wrong to what HTTP says of it. Never a stack trace, never a foreign detail."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from kvot.contract.describe import Response
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.core.errors import (
    BudgetExceeded,
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    KeyUnreadable,
    KvotError,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    ProviderFailed,
    ProviderKeyRefused,
    RequestTooLarge,
    StoreUnavailable,
    TokenRejected,
    TooManyRequests,
)
from kvot.telemetry.tally import CallOutcome, Outcome
from kvot.wire import ratelimit
from kvot.wire.failed import failed

Meta = Mapping[str, str] | None
"""What a ResponseStatus says beside code and message, by name."""

STATUSES: dict[type[KvotError], int] = {
    KvotError: 500,
    InvalidRequest: 400,
    RequestTooLarge: 413,
    NotAuthenticated: 401,
    TokenRejected: 401,
    ProviderKeyRefused: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    TooManyRequests: 429,
    BudgetExceeded: 429,
    StoreUnavailable: 503,
    KeyUnreadable: 500,
    ProviderFailed: 502,
}
"""Every class has a row of its own, so that a new one is decided and not inherited."""


_THEIRS_FROM, _OURS_FROM = 400, 500
"""Statuses that say whose fault it was: the client's, or the server's that says so."""


def outcome(error: KvotError) -> Outcome:
    """What a request that ended in an error is counted as."""
    if isinstance(error, BudgetExceeded):
        return "refused"
    return "rejected" if STATUSES[type(error)] < _OURS_FROM else "failed"


def call_outcome(error: KvotError) -> CallOutcome:
    """The same of a call to a provider."""
    if isinstance(error, ProviderKeyRefused):
        return "provider_refused"
    if isinstance(error, ProviderFailed):
        return "provider_failed"
    if isinstance(error, StoreUnavailable):
        return "unavailable"
    return "rejected" if STATUSES[type(error)] < _OURS_FROM else "failed"


def outcome_of_reply(status: int) -> CallOutcome:
    """Of a call that the provider answered."""
    if status < _THEIRS_FROM:
        return "passed"
    return "provider_refused" if status < _OURS_FROM else "provider_failed"


def to_wire(error: KvotError, meta: Meta = None, struct: type[Response] | None = None) -> Response:
    """The body of a reply for an error that Kvot foresaw. `struct`: the response type whose ResponseStatus says it."""
    fields = error.fields if isinstance(error, InvalidRequest) else ()
    refused = error if isinstance(error, BudgetExceeded) else None
    told = {**(ratelimit.to_meta(refused) if refused else {}), **(meta or {})}
    status = _status(error.code, error.message, fields, told or None)
    return _said_by(struct, status, _usage_of(refused) if refused else {})


def reason(error: KvotError) -> str:
    """What stands beside the status. The contract takes the message of what a service says by itself, else the code."""
    speaks = isinstance(error, NotAuthenticated | Forbidden | NotFound | Conflict)
    return error.message if speaks else error.code


def unforeseen(request_id: str, meta: Meta = None, struct: type[Response] | None = None) -> Response:
    """The body for a fault of ours: the id under which it was logged, and nothing of what it was."""
    message = "The request could not be carried out."
    status = _status("InternalServerError", message, (), {**(meta or {}), "RequestId": request_id})
    return _said_by(struct, status, {})


_USAGE = (
    "company_id",
    "tokens_used",
    "tokens_held",
    "token_limit",
    "tokens_remaining",
    "is_within_budget",
    "window_days",
)


def _usage_of(refused: BudgetExceeded) -> dict[str, Any]:
    """By the names that response types have for it."""
    return {name: getattr(refused.usage, name) for name in _USAGE}


def _said_by(struct: type[Response] | None, status: ResponseStatus, known: Mapping[str, Any]) -> Response:
    if struct is None or "response_status" not in struct.__struct_fields__:
        return ErrorResponse(response_status=status)
    return failed(struct, status, known)


def _status(code: str, message: str, fields: Sequence[FieldError], meta: Meta) -> ResponseStatus:
    errors = [
        ResponseError(
            error_code=field.code,
            field_name=field.field,
            message=_harmless(field.message),
            meta=None if field.meta is None else {name: _harmless(value) for name, value in field.meta.items()},
        )
        for field in fields
    ]
    return ResponseStatus(
        error_code=code, message=_harmless(message), errors=errors, meta=None if meta is None else dict(meta)
    )


def _harmless(message: str) -> str:
    """The contract encodes messages that a page could take for a script."""
    return html.escape(message) if "<script" in message.lower() else message
