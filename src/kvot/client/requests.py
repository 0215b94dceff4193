"""Requests of the contract into HTTP, and HTTP replies back into the contract's responses and errors. No I/O.

An operation's own route is used, JSON both ways. Names in a reply are read in any case, so a host that writes
PascalCase is understood as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from kvot.contract import OPERATIONS
from kvot.contract.describe import Instant, Operation, Request, Response, members_of
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
from kvot.wire.formats import FORMATS
from kvot.wire.scalars import shortest_date

_VERBS_WITHOUT_BODY = frozenset({"GET", "DELETE"})
JSON_LINES = "application/jsonl"

_ERRORS: Mapping[int, type[KvotError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: RequestTooLarge,
}


class HttpRequest(NamedTuple):
    """`target` is path and query. The credential is not in it: the shell adds it."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


def operation_of(request: Request) -> Operation:
    return OPERATIONS[type(request).__name__.lower()]


def to_http(operation: Operation, request: Request, *, idempotency_key: str | None = None) -> HttpRequest:
    """The HTTP request for an operation."""
    route = operation.routes[0]
    values = to_document(request)
    path = _filled(route.path, values)
    headers = {"accept": "application/json"}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    if route.verb in _VERBS_WITHOUT_BODY:
        query = urlencode(values)
        return HttpRequest(route.verb, f"{path}?{query}" if query else path, headers, None)
    headers["content-type"] = "application/json"
    return HttpRequest(route.verb, path, headers, msgspec.json.encode(values))


def _filled(path: str, values: dict[str, Any]) -> str:
    """The path with its variables filled, which are taken out of the values."""
    ends_in_variable = path.endswith("}")
    for name in list(values):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(values.pop(name)), safe=""))
    # The server takes an extension off the end, so a value that looks as if it had one is given one more.
    return f"{path}.json" if ends_in_variable and path.rpartition(".")[2].lower() in FORMATS else path


def lines_to_http(operation: Operation, lines: Sequence[bytes], *, company_id: str | None) -> HttpRequest:
    """The request for an operation that takes a list, its items given as JSON Lines."""
    query = "" if company_id is None else "?" + urlencode({"CompanyId": company_id})
    headers = {"accept": "application/json", "content-type": JSON_LINES}
    return HttpRequest("POST", operation.routes[0].path + query, headers, b"\n".join(lines))


def from_http(operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """The response in a reply. Raises the KvotError that the reply tells of. Header names are in lower case."""
    document = _document(body)
    if not 200 <= status < 300:  # noqa: PLR2004
        raise _error(status, headers, document)
    if operation.response is None or not isinstance(document, dict):
        raise KvotError("The server's reply is not what this operation answers with. Is the address a Kvot server's?")
    response: Response = struct_from(operation.response, document)
    return response


def to_document(request: Request) -> dict[str, Any]:
    """What a request says, by wire name."""
    return {
        member.wire_name: _value(value)
        for member in members_of(type(request))
        if (value := getattr(request, member.name)) is not None
    }


def _value(value: Any) -> Any:
    if isinstance(value, Instant):
        return shortest_date(value.ms)
    if isinstance(value, Request):
        return to_document(value)
    return [_value(each) for each in value] if isinstance(value, list) else value


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _error(status: int, headers: Mapping[str, str], document: Any) -> KvotError:
    told = document if isinstance(document, dict) else {}
    told = told.get("responseStatus") or told.get("ResponseStatus") or {}
    code = told.get("errorCode") or told.get("ErrorCode")
    message = told.get("message") or told.get("Message") or f"The server answered with status {status}."
    retry_after = headers.get("retry-after", "")
    retry_after_ms = int(retry_after) * 1_000 if retry_after.isdigit() else 1_000
    if status == 429:  # noqa: PLR2004
        if code == BudgetExceeded.code and (refused := _refused(message, told)):
            return refused
        return TooManyRequests(message, retry_after_ms=retry_after_ms)
    if status == 503:  # noqa: PLR2004
        return StoreUnavailable(message, retry_after_ms=retry_after_ms)
    kind = _ERRORS.get(status, KvotError)
    if issubclass(kind, InvalidRequest):
        return kind(message, code=code, fields=_fields(told))
    return kind(message, code=code)


def _refused(message: str, told: Mapping[str, Any]) -> BudgetExceeded | None:
    """None where the reply lacks what a refusal of ours says."""
    meta = told.get("meta") or told.get("Meta")
    try:
        return ratelimit.from_meta(message, meta) if isinstance(meta, dict) else None
    except (KeyError, ValueError, TypeError):
        return None


def _fields(told: Mapping[str, Any]) -> list[FieldError]:
    return [
        FieldError(
            each.get("fieldName") or each.get("FieldName") or "",
            each.get("errorCode") or each.get("ErrorCode") or "",
            each.get("message") or each.get("Message") or "",
        )
        for each in told.get("errors") or told.get("Errors") or []
    ]
