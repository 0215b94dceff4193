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
from kvot.http.refused_call import read_query, refused_call
from kvot.http.reply_writer import Pair, head
from kvot.http.table import Table, beside
from kvot.wire.binding import NO_FIELDS, read_fields
from kvot.wire.formats import Format
from kvot.wire.style import Style

NO_HTTP = 400, InvalidRequest("This is no HTTP/1.1 request.")
ADDRESS_TOO_LONG = 414, RequestTooLarge(f"The address is longer than {HEAD_BYTES_MAX} bytes.")
HEAD_TOO_LARGE = 431, RequestTooLarge(f"Address and headers are larger than {HEAD_BYTES_MAX} bytes.")
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
        if refusal := self._in_its_words(fault, verb, url):
            return _whole(status, None, refusal.headers, refusal.body)
        reply = replies.of_error(error, self._format_of(url, dict(headers)), self._style)
        return _whole(status, errors.reason(error), (*reply.headers, *replies.ALWAYS), reply.body)

    def _in_its_words(self, fault: Fault, verb: str, url: bytes) -> Refusal | None:
        """On a path to a provider."""
        path, query = _path_of(url), url.partition(b"?")[2]
        provider = self._provider_at(path)
        if provider is None:
            return None
        status, error = fault
        rest = path[len(provider.name) + 1 :]
        return refused_call(provider.dialect, error, status, verb, rest, read_query(query))

    def _format_of(self, url: bytes, headers: Headers) -> Format:
        """As for any other request. A query that is cut off may name no format: then the rest decides."""
        raw_path, _, query = url.partition(b"?")
        path = _path_of(url)
        endpoint = beside(path)
        try:
            if match := self._table.find(path, raw_path):
                endpoint = match.endpoint
            return choice.format_of(endpoint, read_fields(query) if query else NO_FIELDS, headers)
        except KvotError:
            return choice.format_of(endpoint, NO_FIELDS, headers)


def _path_of(url: bytes) -> str:
    return unquote(url.partition(b"?")[0].decode("latin-1"))


def _whole(status: int, reason: str | None, headers: Iterable[Pair], body: bytes) -> bytes:
    return head(status, reason, [*headers, replies.CLOSE, (b"content-length", b"%d" % len(body))]) + body
