"""Replies to what never became a request: a head that is too large, a method that nobody knows, what is no HTTP.

The server's protocol finds out and knows only what the parser had read by then. That is enough for the format, where
the path or the query names one; the words are those of every other error. On a path to a provider both are those of its
API, whose clients look for them.

They are logged and counted as other refusals are, as far as it can be told what was asked for.
"""

from collections.abc import Callable, Iterable
from urllib.parse import unquote

from kvot.contract.describe import Operation
from kvot.core.errors import InvalidRequest, KvotError, MethodNotAllowed, RequestTooLarge, StoreUnavailable
from kvot.gateway.dialect import Refusal
from kvot.gateway.provider import Provider
from kvot.http import choice, errors, replies
from kvot.http.limits import HEAD_BYTES_MAX, Headers
from kvot.http.refused_call import AskedFor, new_request_id, read_query, refused_call
from kvot.http.replies import Reply
from kvot.http.reply_writer import Pair, head
from kvot.http.requestlog import CallName, RequestLog
from kvot.http.table import Endpoint, Table, beside
from kvot.telemetry.tally import Calls, Requests
from kvot.wire.binding import NO_FIELDS, Fields, read_fields
from kvot.wire.style import Style

NO_HTTP = 400, InvalidRequest("This is no HTTP/1.1 request.")
ADDRESS_TOO_LONG = 414, RequestTooLarge(f"The address is longer than {HEAD_BYTES_MAX} bytes.")
HEAD_TOO_LARGE = 431, RequestTooLarge(f"Address and headers are larger than {HEAD_BYTES_MAX} bytes.")
TRAILERS_TOO_LARGE = 431, RequestTooLarge(f"What stands around the body is larger than {HEAD_BYTES_MAX} bytes.")
NO_OTHER_PROTOCOL = 400, InvalidRequest("No other protocol can be spoken here: leave 'Upgrade' out.")
UNKNOWN_METHOD = 405, MethodNotAllowed("The method of the request is not known.")
STOPPING = 503, StoreUnavailable("The server is stopping.")

Fault = tuple[int, KvotError]
"""What is wrong with it, and the status that says so."""


def _nowhere(_path: str) -> None:
    """Where there are no providers."""


class Early:
    """`style` is the host's: what a query says of it is not looked at. `provider_at`: where a path leads."""

    def __init__(
        self,
        table: Table,
        style: Style,
        log: RequestLog | None = None,
        requests: Requests | None = None,
        provider_at: Callable[[str], Provider | None] = _nowhere,
        calls: Calls | None = None,
    ) -> None:
        self._table = table
        self._style = style
        self._log = log or RequestLog()
        self._requests = requests or Requests()
        self._provider_at = provider_at
        self._calls = calls or Calls()

    def reply(
        self, fault: Fault, verb: str = "", url: bytes = b"", headers: Iterable[Pair] = (), *, is_begun: bool = False
    ) -> bytes:
        """The whole reply, ready to be sent; the connection ends with it. `url` and `headers` may lack their end.
        `verb`: empty where it is none that HTTP knows. `is_begun`: it was a request already, which broke off in its
        body; as a call it is counted by who carries it out."""
        status, error = fault
        named = dict(headers)
        if provider := self._provider_at(_path_of(url)):
            refusal = self._in_its_words(provider, fault, verb, url, named, is_begun=is_begun)
            return _whole(status, None, refusal.headers, refusal.body)
        endpoint = self._endpoint_of(url)
        reply = self._reply(fault, endpoint, _fields_of(url), named)
        self._note(fault, verb, endpoint.operation(verb))
        return _whole(status, errors.reason(error), (*reply.headers, *replies.ALWAYS), reply.body)

    def _in_its_words(
        self, provider: Provider, fault: Fault, verb: str, url: bytes, headers: Headers, *, is_begun: bool
    ) -> Refusal:
        """On a path to a provider."""
        status, error = fault
        rest = _path_of(url)[len(provider.name) + 1 :]
        asked = AskedFor(verb, rest, read_query(url.partition(b"?")[2]), headers.get(b"accept"))
        found = provider.dialect.find(verb, rest, asked.query)
        call = CallName(new_request_id(), provider.name, found.endpoint.name if found else None)
        self._note(fault, verb, None, call)
        if not is_begun:
            self._calls.begin(provider.name)
            self._calls.end(provider.name, call.endpoint or "", errors.call_outcome(error))
        return refused_call(provider.dialect, error, status, asked, call.request_id)

    def _note(self, fault: Fault, verb: str, operation: Operation | None, call: CallName | None = None) -> None:
        status, error = fault
        if operation is not None and fault is not STOPPING:  # what a stop leaves undone is no failure of an operation
            self._requests.count(operation.name, errors.outcome(error))
        self._log.request({"method": verb or None}, operation, None, status, 0.0, call)

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
