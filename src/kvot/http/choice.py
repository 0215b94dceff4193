"""How one reply will be written: its format and its style, from path, query and headers."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from kvot.http.limits import Headers
from kvot.http.table import API, Endpoint
from kvot.wire import html, jsonp
from kvot.wire.binding import Fields
from kvot.wire.formats import FORMATS, HTML, JSON, JSONP, Format
from kvot.wire.html import Page
from kvot.wire.jsconfig import style_of
from kvot.wire.negotiate import accepted, asks_for_problem, named
from kvot.wire.style import Style


def format_of(endpoint: Endpoint, query: Fields, headers: Headers) -> Format:
    """Extension or path, then `?format=`, then `Accept`, which predefined paths ignore."""
    if endpoint.format is not None:
        return endpoint.format
    if query and (key := query.get("format")):
        return named(key)
    return JSON if endpoint.is_api else accepted(headers.get(b"accept"))


def is_problem(endpoint: Endpoint | None, query: Fields, headers: Headers) -> bool:
    """Whether an error is to be a problem (RFC 9457). `Accept` alone can ask for that, also on predefined paths; a
    format that the address names stays. `endpoint` None: what the path leads to is not known yet, or nothing."""
    if (endpoint is not None and endpoint.format is not None) or query.get("format"):
        return False
    return asks_for_problem(headers.get(b"accept"))


def jsonp_of(endpoint: Endpoint, query: Fields, format_: Format) -> Format:
    """JSON as a call of the function that `?callback=` names, whatever `Accept` says: what a script tag accepts is not
    its page's to choose. Another format that extension, path or `?format=` names stays. Raises InvalidRequest."""
    callback = query.get("callback")
    is_named = endpoint.format is not None or query.get("format")
    if not callback or (is_named and format_ is not JSON):
        return format_
    return replace(JSONP, write=partial(jsonp.write, callback=jsonp.callback_of(callback)))


def restyled(query: Fields, style: Style) -> Style:
    """The host's style, or what `?jsconfig=` makes of it."""
    wish = query.get("jsconfig")
    return style_of(wish, style) if wish else style


def page_of(operation: str, query: Fields, verb: str, clock: Callable[[], int]) -> Format:
    """HTML about this one reply. Links repeat a question, so only what was a question has them."""
    links = _links(operation, query) if verb in ("GET", "HEAD") else ()
    return replace(HTML, write=partial(html.write, page=Page(operation, clock(), links)))


def _links(operation: str, query: Fields) -> tuple[tuple[str, str], ...]:
    asked = urlencode([(name, value) for name, value in query.items() if name not in ("format", "callback")])
    question = f"?{asked}" if asked else ""
    return tuple((key, f"{API}{operation}.{key}{question}") for key in FORMATS if key != HTML.key)


def is_browser(headers: Headers) -> bool:
    """Only browsers ask for pages by name. Nobody else is ever sent elsewhere."""
    return b"text/html" in headers.get(b"accept", b"").lower()
