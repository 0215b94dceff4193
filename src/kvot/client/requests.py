"""Requests of the contract into HTTP. No I/O. An operation's own route is used, and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec

from kvot.client.asking import AGAIN
from kvot.contract import OPERATIONS
from kvot.contract.describe import Instant, Operation, Request, members_of
from kvot.core.errors import InvalidRequest, StoreUnavailable
from kvot.settings import is_key_text
from kvot.wire.formats import FORMATS
from kvot.wire.scalars import shortest_date

_VERBS_WITHOUT_BODY = frozenset({"GET", "DELETE"})
JSON_LINES = "application/jsonl"


class HttpRequest(NamedTuple):
    """`target` is path and query. The credential is not in it: the shell adds it."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


def operation_of(request: Request) -> Operation:
    return OPERATIONS[type(request).__name__.lower()]


def call_for(request: Request, key: str | None) -> tuple[str | None, int]:
    """The Idempotency-Key under which to ask, and how often to ask again: what has a key counts once."""
    if key is None and operation_of(request).is_keyed and getattr(request, "hold_id", None) is None:
        key = uuid4().hex
    return key, 0 if key is None else AGAIN


def named_again(error: StoreUnavailable, key: str | None) -> StoreUnavailable:
    """The error with the key that makes it safe to repeat what may have been done."""
    if key is None:
        return error
    message = f"{error.message.rstrip('.')}. It may have been carried out: repeat it with the idempotency key {key!r}."
    return StoreUnavailable(message, retry_after_ms=error.retry_after_ms, in_public=error.in_public)


def to_http(operation: Operation, request: Request, *, idempotency_key: str | None = None) -> HttpRequest:
    """The HTTP request for an operation. Raises InvalidRequest for what neither JSON nor an address can say."""
    if idempotency_key is not None and not (idempotency_key and is_key_text(idempotency_key)):
        raise InvalidRequest("The idempotency key must be ASCII text without a space or a line break.")
    try:
        return _written(operation, request, idempotency_key)
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise InvalidRequest(f"The request cannot be written: {error}.") from error


def _written(operation: Operation, request: Request, idempotency_key: str | None) -> HttpRequest:
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
