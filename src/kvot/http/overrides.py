"""`X-Param-Override-{Name}`: parameters of a request in headers. They count as its query and go before it."""

from functools import cache

from kvot.contract.describe import Request, members_of
from kvot.http.limits import Headers
from kvot.wire.binding import Fields

_OF_REPLIES = tuple((f"x-param-override-{name}".encode(), name) for name in ("format", "jsconfig", "callback"))


def with_reply_overrides(query: Fields, headers: Headers) -> Fields:
    """The query as the headers change what it says of the reply."""
    for header, name in _OF_REPLIES:
        if header in headers:
            query = {**query, name: headers[header].decode("latin-1")}
    return query


def with_overrides(request_type: type[Request], query: Fields, headers: Headers) -> Fields:
    """The query as the headers change it. Looked up by the names of the members, since most requests have none."""
    found: dict[str, str] = {}
    for header, name in _headers_of(request_type):
        if header in headers:
            found[name] = headers[header].decode("latin-1")
    return {**query, **found} if found else query


@cache
def _headers_of(request_type: type[Request]) -> list[tuple[bytes, str]]:
    names = [member.wire_name.lower() for member in members_of(request_type)]
    return [(f"x-param-override-{name}".encode(), name) for name in names]
