"""What goes back to a client: status, headers, body."""

from typing import NamedTuple
from urllib.parse import quote

from kvot.contract.describe import Response as Struct
from kvot.contract.holds import AiChatHoldResponse
from kvot.contract.status import ErrorResponse
from kvot.core.errors import BudgetExceeded, KvotError, Refusal
from kvot.http import errors, problem
from kvot.http.errors import Meta
from kvot.wire import html, ratelimit
from kvot.wire.formats import FORMATS, HTML, JSONP, Format
from kvot.wire.rows import Reply as Response
from kvot.wire.style import Style

Pairs = tuple[tuple[bytes, bytes], ...]

ALWAYS: Pairs = ((b"vary", b"Accept"), (b"x-powered-by", b"Kvot"))
"""What the contract has on every reply. Whoever sends a reply adds it."""

NO_STORE = (b"cache-control", b"no-store")
"""On every reply that somebody's credential, or the moment, decides. A cache before us keeps what says nothing of it,
and gives it to whoever asks for the same address: it knows neither `x-api-key` nor our cookie for credentials."""

_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"), NO_STORE)
_PROBLEM = ((b"content-type", problem.CONTENT_TYPE), NO_STORE)
_NOTHING = (NO_STORE,)
_UNFORESEEN = 500
CLOSE = (b"connection", b"close")
_NO_RETRY = (b"x-should-retry", b"false")
"""What official SDKs ask before they send a request again by themselves: tokens come back in hours, not in seconds,
but for those of open holds."""
PAGE: Pairs = (
    (b"content-type", HTML.content_type.encode()),
    NO_STORE,
    _NO_SNIFF,
    (b"content-security-policy", html.POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
)
"""The headers of every page. What a page shows is for who signed in, so nobody keeps it."""

_FORMAT_HEADERS: dict[str, Pairs] = {
    **{key: ((b"content-type", format_.content_type.encode()), NO_STORE) for key, format_ in FORMATS.items()},
    HTML.key: PAGE,
    JSONP.key: ((b"content-type", JSONP.content_type.encode()), NO_STORE, _NO_SNIFF),
}


class Reply(NamedTuple):
    """`headers` lack the content length, and `ALWAYS`."""

    status: int
    headers: Pairs
    body: bytes


def of_response(response: Response, format_: Format, style: Style, status: int = 200) -> Reply:
    headers = _FORMAT_HEADERS[format_.key]
    if type(response) is AiChatHoldResponse:
        headers = (*headers, *ratelimit.fields_of(response))
    return Reply(status, headers, format_.write(response, style))


def of_error(
    error: KvotError, format_: Format, style: Style, meta: Meta = None, struct: type[Struct] | None = None
) -> Reply:
    response = errors.to_wire(error, meta, _of_type(struct, format_))
    reply = of_response(response, format_, style, errors.STATUSES[type(error)])
    return with_headers(reply, *_waits(error))


def problem_of_error(error: KvotError, meta: Meta = None, status: int | None = None) -> Reply:
    """The same for a client that asks for problems. `status`: where it is another than that of the error's class."""
    status = status or errors.STATUSES[type(error)]
    return Reply(status, (*_PROBLEM, *_waits(error)), problem.of_error(error, status, meta))


def _waits(error: KvotError) -> Pairs:
    """When the same may succeed, and how a budget stands that does not hold it."""
    seconds = error.retry_after_s
    waits: Pairs = () if seconds is None else ((b"retry-after", b"%d" % seconds),)
    if not isinstance(error, BudgetExceeded):
        return waits
    no_retry = () if error.refusal is Refusal.OPEN_HOLDS else (_NO_RETRY,)
    return (*waits, *no_retry, *ratelimit.fields_of(error.usage, seconds))


def of_text(text: str, status: int = 200) -> Reply:
    return Reply(status, _TEXT, text.encode())


NOT_FOUND = of_text("404", 404)
"""No path of ours: the contract answers so in text, whatever the client accepts."""


def of_unforeseen(
    request_id: str, format_: Format, style: Style, meta: Meta = None, struct: type[Struct] | None = None
) -> Reply:
    response = errors.unforeseen(request_id, meta, _of_type(struct, format_))
    return of_response(response, format_, style, _UNFORESEEN)


def problem_of_unforeseen(request_id: str, meta: Meta = None) -> Reply:
    response = errors.unforeseen(request_id, meta)
    assert isinstance(response, ErrorResponse)
    return Reply(_UNFORESEEN, _PROBLEM, problem.of_status(response.response_status, _UNFORESEEN))


def _of_type(struct: type[Struct] | None, format_: Format) -> type[Struct] | None:
    """On a page for people no zeros stand beside the error: somebody would read them as the usage."""
    return None if format_.key == HTML.key else struct


def nothing(verb: str) -> Reply:
    """What a one-way call says. The contract keeps 200 for the verbs whose replies never have a body."""
    return Reply(200 if verb in ("HEAD", "OPTIONS") else 204, _NOTHING, b"")


def of_page(page: str, status: int = 200) -> Reply:
    return Reply(status, PAGE, page.encode())


def quoted(text: bytes) -> str:
    """Bytes as they may stand in a query."""
    return quote(text, safe="")


def redirect(address: str, status: int) -> Reply:
    """`address` is a path of this server."""
    return Reply(status, ((b"location", quote(address, safe="/?&=%:+,;@!$'()*~").encode()), NO_STORE), b"")


def with_headers(reply: Reply, *headers: tuple[bytes, bytes]) -> Reply:
    return reply._replace(headers=(*reply.headers, *headers))


def named_file(operation: str) -> tuple[bytes, bytes]:
    """The header that CSV has, so that browsers keep it under a name."""
    return b"content-disposition", f'attachment;filename="{operation}.csv"'.encode()
