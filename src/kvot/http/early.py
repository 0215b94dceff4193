"""Replies to what never became a request: a head that is too large, a method that nobody knows, what is no HTTP.

The server's protocol finds out and knows only what the parser had read by then. That is enough for the format, where
the path or the query names one; the words are those of every other error.
"""

from collections.abc import Iterable
from urllib.parse import unquote

from kvot.core.errors import InvalidRequest, KvotError, MethodNotAllowed, RequestTooLarge
from kvot.http import choice, errors, replies
from kvot.http.limits import HEAD_BYTES_MAX, Headers
from kvot.http.reply_writer import Pair, head
from kvot.http.table import Table, beside
from kvot.wire.binding import NO_FIELDS, read_fields
from kvot.wire.formats import Format
from kvot.wire.style import Style

NO_HTTP = 400, InvalidRequest("This is no HTTP/1.1 request.")
ADDRESS_TOO_LONG = 414, RequestTooLarge(f"The address is longer than {HEAD_BYTES_MAX} bytes.")
HEAD_TOO_LARGE = 431, RequestTooLarge(f"Address and headers are larger than {HEAD_BYTES_MAX} bytes.")
UNKNOWN_METHOD = 405, MethodNotAllowed("The method of the request is not known.")

Refusal = tuple[int, KvotError]


class Early:
    """`style` is the host's: what a query says of it is not looked at."""

    def __init__(self, table: Table, style: Style) -> None:
        self._table = table
        self._style = style

    def reply(self, refusal: Refusal, url: bytes = b"", headers: Iterable[Pair] = ()) -> bytes:
        """The whole reply, ready to be sent; the connection ends with it. `url` and `headers` may lack their end."""
        status, error = refusal
        reply = replies.of_error(error, self._format_of(url, dict(headers)), self._style)
        length = (b"content-length", b"%d" % len(reply.body))
        pairs = [*reply.headers, *replies.ALWAYS, replies.CLOSE, length]
        return head(status, errors.reason(error), pairs) + reply.body

    def _format_of(self, url: bytes, headers: Headers) -> Format:
        """As for any other request. A query that is cut off may name no format: then the rest decides."""
        raw_path, _, query = url.partition(b"?")
        path = unquote(raw_path.decode("latin-1"))
        endpoint = beside(path)
        try:
            if match := self._table.find(path, raw_path):
                endpoint = match.endpoint
            return choice.format_of(endpoint, read_fields(query) if query else NO_FIELDS, headers)
        except KvotError:
            return choice.format_of(endpoint, NO_FIELDS, headers)
