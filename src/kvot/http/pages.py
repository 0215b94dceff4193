"""What the service says of itself, to people and programs: pages, generated classes, the OpenAPI document.

All of it follows from the contract and is the same for everybody, so it needs no credentials and shows no data. Nothing
here writes a page: that is the work of `metadata`. A reply depends on path, query, host and second alone, and is kept.

What programs ask for is answered whatever the verb, as the contract has it; pages are read, so they take GET and HEAD.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import msgspec

from kvot import __version__
from kvot.contract import HOST, ROUTES, Host
from kvot.contract.describe import Operation
from kvot.core.errors import InvalidRequest, MethodNotAllowed, NotFound
from kvot.core.window import MS_PER_SECOND
from kvot.http import replies
from kvot.http.address import base_url_of, host_of
from kvot.http.choice import is_browser
from kvot.http.replies import Reply
from kvot.http.surface import Answer, Asked
from kvot.metadata.app import app_metadata, operations_metadata, types_links, types_metadata
from kvot.metadata.languages import LANGUAGES, language_of
from kvot.metadata.model import JsonCase, model_of
from kvot.metadata.openapi import openapi
from kvot.metadata.openapi_page import openapi_page
from kvot.metadata.page import index_page, operation_page, unknown_operation_page
from kvot.metadata.rendering import style_source
from kvot.metadata.samples import SAMPLE_FORMATS
from kvot.metadata.types import types_source
from kvot.wire import html
from kvot.wire.formats import FORMATS, HTML, JSON
from kvot.wire.style import JsonCase as Case
from kvot.wire.style import Style

QUERY_BYTES_MAX: Final = 8_192
"""Every option of a language, with a list of every type there is, comes to less than half of it."""

KEPT_MAX: Final = 128
"""Replies kept. The largest has some 100 kB, so that together they stay below 16 MB whatever is asked."""

_LISTED: Final = {key: format_ for key, format_ in FORMATS.items() if format_ is not HTML}
"""Formats that operations are listed in. For people there is the index."""

_ECHO_MAX: Final = 64
_TYPES: Final = "/types/"
_METADATA: Final = "/metadata"
_WELCOME: Final = """\
Kvot answers here. What can be asked:

for people    {0}/metadata
for programs  {0}/openapi.json
health        {0}/readyz
"""
_APP: Final = "/metadata/app"
_OPERATIONS: Final = "/operations/metadata"
_ALIASES: Final = {"/api/metadataapp": _APP, "/json/reply/metadataapp": _APP}
"""`MetadataApp` is an operation to clients, though none of the contract's."""

_PAGE_OF_HTML: Final = "json"
"""`/html/metadata` is a path of the contract, but a page is no sample of a message: the JSON page stands for it."""

_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_KEEP = (b"cache-control", b"public, max-age=60")
"""A minute: after an upgrade nobody generates classes from the release before for longer."""

_NO_STORE = (b"cache-control", b"no-store")
_PAGE = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", html.policy(style_source()).encode()),
    (b"referrer-policy", b"same-origin"),
    _NO_SNIFF,
)
_JSON = ((b"content-type", b"application/json; charset=utf-8"), _NO_SNIFF, _KEEP)


class Wanted(NamedTuple):
    """All that a reply depends on. `path` in lower case, `query` in the order in which it came, names in lower case.

    `now`: the server's local time in whole seconds, which classes are dated with.
    """

    path: str
    query: tuple[tuple[str, str], ...]
    host: str
    base_url: str
    now: datetime

    def asks(self, name: str) -> str:
        return next((value for each, value in self.query if each == name), "")


class Pages:
    """now: the server's local time."""

    def __init__(
        self,
        style: Style,
        now: Callable[[], datetime],
        *,
        operations: Iterable[Operation] = ROUTES,
        host: Host = HOST,
    ) -> None:
        self._operations = tuple(operations)
        self._by_name = {operation.name.lower(): operation for operation in self._operations}
        self._json_case: JsonCase = "pascal" if style.json_case is Case.PASCAL else "camel"
        self._model = model_of(self._operations, host, self._json_case)
        self._now = now
        self._dto_style = Style(dto_namespace=host.dto_namespace)
        self._for_people: dict[str, Callable[[Wanted], Reply]] = {
            _METADATA: self._index,
            "/openapi": lambda wanted: _page(openapi_page(self._document(wanted))),
            "/openapi.json": lambda wanted: _json(self._document(wanted)),
        }
        self._for_programs: dict[str, Callable[[Wanted], Reply]] = {
            **_as_json(_APP, self._app),
            **_as_json("/types", lambda wanted: _json(types_links(wanted.base_url))),
            **_as_json("/types/metadata", self._types_metadata),
            **{path: self._listed for path in (_OPERATIONS, *(f"{_OPERATIONS}.{key}" for key in _LISTED))},
        }
        self._kept = lru_cache(KEPT_MAX)(self._make)

    def find(self, path: str) -> Answer | None:
        if path == "/":
            return self._root
        path = path.lower().rstrip("/")
        path = _ALIASES.get(path.removesuffix(".json"), path)
        return partial(self._answer, path) if self._maker(path) else None

    async def _root(self, asked: Asked) -> Reply:
        """Whoever comes to the door is shown in: a browser is sent on, anybody else is told where to look."""
        if asked.scope["method"] not in ("GET", "HEAD"):
            return replies.NOT_FOUND
        if is_browser(asked.headers):
            return replies.redirect(_METADATA, 302)
        return replies.of_text(_WELCOME.format(base_url_of(asked.scope, asked.headers)))

    async def _answer(self, path: str, asked: Asked) -> Reply:
        takes_any_verb = path in self._for_programs or path.startswith(_TYPES)
        if not takes_any_verb and asked.scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed("This address takes GET and HEAD.")
        if len(asked.scope["query_string"]) > QUERY_BYTES_MAX:
            raise InvalidRequest(f"The query of this address may have {QUERY_BYTES_MAX} bytes.")
        host, base_url = host_of(asked.scope, asked.headers), base_url_of(asked.scope, asked.headers)
        now = self._now().replace(microsecond=0)
        return self._kept(Wanted(path, tuple(asked.query.items()), host, base_url, now))

    def _make(self, wanted: Wanted) -> Reply:
        make = self._maker(wanted.path)
        assert make is not None, "only paths that were found are made"
        return make(wanted)

    def _maker(self, path: str) -> Callable[[Wanted], Reply] | None:
        found = self._for_people.get(path) or self._for_programs.get(path)
        if found is not None:
            return found
        if path.startswith(_TYPES):
            return self._types
        is_operation_page = path.endswith(_METADATA) and path[1 : -len(_METADATA)] in (*SAMPLE_FORMATS, HTML.key)
        return self._operation if is_operation_page else None

    def _index(self, wanted: Wanted) -> Reply:
        return _page(index_page(self._model, self._operations))

    def _operation(self, wanted: Wanted) -> Reply:
        name = wanted.asks("op")
        if not name:
            return self._index(wanted)
        operation = self._by_name.get(name.lower())
        if operation is None:
            return _page(unknown_operation_page(name, self._model), 404)
        key = wanted.path.removeprefix("/").removesuffix(_METADATA)
        key = _PAGE_OF_HTML if key == HTML.key else key
        page = operation_page(operation, key, self._model, wanted.host, wanted.asks("lang"))
        assert page is not None, "only formats that have pages are found"
        return _page(page)

    def _types(self, wanted: Wanted) -> Reply:
        key = wanted.path.removeprefix(_TYPES)
        language = language_of(key)
        source = types_source(key, self._model, wanted.query, wanted.base_url, wanted.now)
        if language is None or source is None:
            raise NotFound(f"There is no language '{key[:_ECHO_MAX]}'. There are: {', '.join(LANGUAGES)}.")
        content_type = f"{language.content_type}; charset=utf-8".encode()
        return Reply(200, ((b"content-type", content_type), _NO_SNIFF, _KEEP), source.encode())

    def _app(self, wanted: Wanted) -> Reply:
        # The backslashes are on the wire, as in every date of ours.
        date = msgspec.Raw(b'"\\/Date(%d)\\/"' % (int(wanted.now.timestamp()) * MS_PER_SECOND))
        return _json(app_metadata(self._model, wanted.base_url, date, self._json_case, self._operations))

    def _types_metadata(self, wanted: Wanted) -> Reply:
        return _json(types_metadata(self._model, wanted.base_url, self._operations))

    def _listed(self, wanted: Wanted) -> Reply:
        """The operations in a format of programs: by extension, or else by `?format=`."""
        key = wanted.path.removeprefix(_OPERATIONS).removeprefix(".") or wanted.asks("format").lower()
        format_ = _LISTED.get(key, JSON)
        headers = ((b"content-type", format_.content_type.encode()), _NO_SNIFF, _KEEP)
        return Reply(200, headers, format_.write([*operations_metadata(self._operations)], self._dto_style))

    def _document(self, wanted: Wanted) -> dict[str, Any]:
        return openapi(self._model, wanted.base_url, __version__, self._operations)


def _as_json(path: str, make: Callable[[Wanted], Reply]) -> dict[str, Callable[[Wanted], Reply]]:
    """JSON is all that it can be, so the extension may be left out."""
    return {path: make, f"{path}.json": make}


def _json(value: Any) -> Reply:
    return Reply(200, _JSON, msgspec.json.encode(value))


def _page(page: str, status: int = 200) -> Reply:
    return Reply(status, (*_PAGE, _KEEP if status == 200 else _NO_STORE), page.encode())  # noqa: PLR2004
