"""Replies to what never became a request: a head that is too large, a method that nobody knows, what is no HTTP.

The server's protocol finds out and knows only what the parser had read by then. That is enough for the format, where
the path or the query names one; the words are those of every other error. On a path to a provider both are those of its
API, whose clients look for them.
"""

from collections.abc import Callable, Iterable
from urllib.parse import unquote

from kvot.core.errors import InvalidRequest, KvotError, MethodNotAllowed, RequestTooLarge
from kvot.gateway.dialect import Refusal
from kvot.gateway.provider import Provider
from kvot.http import choice, errors, replies
from kvot.http.limits import HEAD_BYTES_MAX, Headers
from kvot.http.refused_call import AskedFor, read_query, refused_call
from kvot.http.replies import Reply
from kvot.http.reply_writer import Pair, head
from kvot.http.table import Endpoint, Table, beside
from kvot.wire.binding import NO_FIELDS, Fields, read_fields
from kvot.wire.style import Style

NO_HTTP = 400, InvalidRequest("This is no HTTP/1.1 request.")
ADDRESS_TOO_LONG = 414, RequestTooLarge(f"The address is longer than {HEAD_BYTES_MAX} bytes.")
HEAD_TOO_LARGE = 431, RequestTooLarge(f"Address and headers are larger than {HEAD_BYTES_MAX} bytes.")
TRAILERS_TOO_LARGE = 431, RequestTooLarge(f"What stands around the body is larger than {HEAD_BYTES_MAX} bytes.")
NO_OTHER_PROTOCOL = 400, InvalidRequest("No other protocol can be spoken here: leave 'Upgrade' out.")
UNKNOWN_METHOD = 405, MethodNotAllowed("The method of the request is not known.")

Fault = tuple[int, KvotError]
"""What is wrong with it, and the status that says so."""


def _nowhere(_path: str) -> None:
    """Where there are no providers."""


class Early:
    """`style` is the host's: what a query says of it is not looked at. `provider_at`: where a path leads."""

    def __init__(self, table: Table, style: Style, provider_at: Callable[[str], Provider | None] = _nowhere) -> None:
        self._table = table
        self._style = style
        self._provider_at = provider_at

    def reply(self, fault: Fault, verb: str = "", url: bytes = b"", headers: Iterable[Pair] = ()) -> bytes:
        """The whole reply, ready to be sent; the connection ends with it. `url` and `headers` may lack their end.
        `verb`: empty where it is none that HTTP knows."""
        status, error = fault
        named = dict(headers)
        if refusal := self._in_its_words(fault, verb, url, named):
            return _whole(status, None, refusal.headers, refusal.body)
        reply = self._reply(fault, self._endpoint_of(url), _fields_of(url), named)
        return _whole(status, errors.reason(error), (*reply.headers, *replies.ALWAYS), reply.body)

    def _in_its_words(self, fault: Fault, verb: str, url: bytes, headers: Headers) -> Refusal | None:
        """On a path to a provider."""
        path, query = _path_of(url), url.partition(b"?")[2]
        provider = self._provider_at(path)
        if provider is None:
            return None
        status, error = fault
        rest = path[len(provider.name) + 1 :]
        asked = AskedFor(verb, rest, read_query(query), headers.get(b"accept"))
        return refused_call(provider.dialect, error, status, asked)

    def _reply(self, fault: Fault, endpoint: Endpoint, query: Fields, headers: Headers) -> Reply:
        """In the format of any other reply. A query may name none that there is: then the rest decides."""
        status, error = fault
        if choice.is_problem(endpoint, query, headers):
            return replies.problem_of_error(error, status=status)
        try:
            format_ = choice.format_of(endpoint, query, headers)
        except KvotError:
            format_ = choice.format_of(endpoint, NO_FIELDS, headers)
        return replies.of_error(error, format_, self._style)

    def _endpoint_of(self, url: bytes) -> Endpoint:
        path = _path_of(url)
        try:
            match = self._table.find(path, url.partition(b"?")[0])
        except KvotError:
            match = None
        return match.endpoint if match else beside(path)


def _fields_of(url: bytes) -> Fields:
    """Of a query that may be cut off."""
    query = url.partition(b"?")[2]
    try:
        return read_fields(query) if query else NO_FIELDS
    except KvotError:
        return NO_FIELDS


def _path_of(url: bytes) -> str:
    return unquote(url.partition(b"?")[0].decode("latin-1"))


def _whole(status: int, reason: str | None, headers: Iterable[Pair], body: bytes) -> bytes:
    return head(status, reason, [*headers, replies.CLOSE, (b"content-length", b"%d" % len(body))]) + body
