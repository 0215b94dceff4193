"""HTTP replies back into the contract's responses and errors. No I/O.

Names are read in any case, so a host that writes PascalCase is understood as well. A reply may come from anything that
stands between here and the server: whatever it says, what comes out is a response or a KvotError. StoreUnavailable
stands for every reply that leaves open whether the request was carried out.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from kvot.contract.describe import Operation, Request, Response
from kvot.core.errors import (
    BudgetExceeded,
    Conflict,
    FieldError,
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
from kvot.wire import ratelimit
from kvot.wire.binding import struct_from

_OK, _REFUSED, _FAILED = range(200, 300), range(400, 500), range(500, 600)
_TIMED_OUT, _TOO_MANY = 408, 429

_ERRORS: Mapping[int, type[KvotError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: RequestTooLarge,
}

_WAIT_MS = 1_000
"""How long to wait where a reply does not say."""

_SECONDS_DIGITS_MAX = 9
_DATE_LENGTH_MAX = 40
"""Of a Retry-After: nothing that makes sense is longer."""


def from_http(
    operation: Operation,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_ms: int,
    asked: Request | None = None,
) -> Response:
    """The response in a reply. Raises the KvotError that the reply tells of. Header names are in lower case.

    asked: the request, if it is one whose hold the reply must name: on a connection that was mixed up with another's,
    the reply to another's request is no answer.
    """
    if status not in _OK:
        raise _error(status, body, _retry_after_ms(headers.get("retry-after", ""), now_ms))
    response = _response(operation, body)
    of, named = getattr(asked, "hold_id", None), getattr(response, "hold_id", None)
    if None not in (of, named) and of != named:
        raise _unreadable(f"it is that of the hold {named}") from ValueError(named)
    return response


def _response(operation: Operation, body: bytes) -> Response:
    try:
        document = msgspec.json.decode(body)
        if operation.response is None or not isinstance(document, dict):
            raise ValueError("no document")
        response: Response = struct_from(operation.response, document)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unreadable("is the address a Kvot server's?") from error
    return response


def _unreadable(why: str) -> StoreUnavailable:
    return StoreUnavailable(f"The server's reply is not what this operation answers with: {why}")


def _error(status: int, body: bytes, retry_after_ms: int) -> KvotError:
    told = _member(_document(body), "responseStatus")
    code = _text(told, "errorCode") or None
    message = _text(told, "message") or f"The server answered with status {status}."
    if status == _TOO_MANY:
        refused = _refused(message, _member(told, "meta")) if code == BudgetExceeded.code else None
        return refused or TooManyRequests(message, retry_after_ms=retry_after_ms)
    if status not in _REFUSED or status == _TIMED_OUT:
        return StoreUnavailable(message, retry_after_ms=retry_after_ms)
    kind = _ERRORS.get(status, KvotError)
    if issubclass(kind, InvalidRequest):
        return kind(message, code=code, fields=_fields(_member(told, "errors")))
    return kind(message, code=code)


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _member(document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        return None
    return document.get(name) or document.get(name[0].upper() + name[1:])


def _text(document: Any, name: str) -> str:
    value = _member(document, name)
    return value if isinstance(value, str) else ""


def _fields(errors: Any) -> list[FieldError]:
    listed = errors if isinstance(errors, list) else []
    return [FieldError(_text(each, "fieldName"), _text(each, "errorCode"), _text(each, "message")) for each in listed]


def _refused(message: str, meta: Any) -> BudgetExceeded | None:
    """None where the reply lacks what a refusal of ours says."""
    try:
        return ratelimit.from_meta(message, meta) if isinstance(meta, dict) else None
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _retry_after_ms(text: str, now_ms: int) -> int:
    """Seconds or a date: RFC 9110 §10.2.3."""
    if text.isascii() and text.isdigit() and len(text) <= _SECONDS_DIGITS_MAX:
        return int(text) * 1_000
    try:
        at = parsedate_to_datetime(text[:_DATE_LENGTH_MAX])
        return max(0, int(at.timestamp() * 1_000) - now_ms)
    except (ValueError, OverflowError):
        return _WAIT_MS
