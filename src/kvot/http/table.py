"""Which operation a path means: every literal path, with and without its extension, is one dictionary look-up.

Paths match in any case, a trailing slash is ignored, and an extension that is a format's key fixes the format of the
reply. A path that is neither literal nor predefined (`/api/{Op}`, `/{format}/reply/{Op}`, `/{format}/oneway/{Op}`) is
compared with those that have variables. `[]` after the operation's name makes a batch of a predefined path.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from kvot.contract.describe import Operation
from kvot.core.errors import InvalidRequest, MethodNotAllowed
from kvot.wire.binding import NO_FIELDS, Fields
from kvot.wire.formats import FORMATS, HTML, JSON, Format

API = "/api/"
BATCH = "[]"
_PREDEFINED = re.compile(rf"/(?:api|(?P<format>{'|'.join(FORMATS)})/(?:reply|oneway))/")

_ANY = "*"


class Endpoint(NamedTuple):
    """What a path leads to. `operations` is by verb; the verb `*` stands for any that is not listed.

    `format` None: to be negotiated. `api_operation`: the operation's name where the path is a predefined one; None for
    an operation's own path. `body_format`: how a predefined path reads bodies, whatever their content type says.
    """

    operations: Mapping[str, Operation]
    format: Format | None
    api_operation: str | None = None
    body_format: Format = JSON
    is_batch: bool = False
    is_oneway: bool = False

    @property
    def is_api(self) -> bool:
        return self.api_operation is not None

    @property
    def name(self) -> str:
        """The operation's name; for a path of several operations that of its first."""
        return self.api_operation or next(iter(self.operations.values())).name

    def operation(self, verb: str) -> Operation | None:
        """The operation behind a verb; HEAD asks for what GET would say."""
        verb = "GET" if verb == "HEAD" else verb
        return self.operations.get(verb) or self.operations.get(_ANY)


class Match(NamedTuple):
    endpoint: Endpoint
    path_values: Fields = NO_FIELDS


def no_such_operation() -> MethodNotAllowed:
    return MethodNotAllowed("The operation does not exist for this service")


def no_such_verb(name: str, verb: str, service_name: str) -> MethodNotAllowed:
    """The contract's words for a verb that an operation does not answer."""
    method = verb.capitalize()
    return MethodNotAllowed(f"Could not find method named {method}({name}) or Any({name}) on Service {service_name}")


class Table:
    def __init__(self, routes: Iterable[Operation]) -> None:
        self._literal: dict[str, Match] = {}
        self._patterns: list[tuple[list[str], Endpoint]] = []
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in routes:
            self._add_api(operation)
            for route in operation.routes:
                by_path.setdefault(route.path, {})[route.verb] = operation
        for path, operations in by_path.items():
            self._add_path(path, operations)

    def find(self, path: str, raw_path: bytes) -> Match | None:
        """What a path leads to; a predefined path of an operation that does not exist leads to no operations."""
        found = self._literal.get(path)
        if found is not None:
            return found
        lowered = path.lower().rstrip("/")
        found = self._literal.get(lowered) or self._match(raw_path)
        if found is None and (predefined := _PREDEFINED.match(lowered)):
            return _nowhere(lowered, predefined["format"])
        return found

    def _add_api(self, operation: Operation) -> None:
        verbs = (_ANY,) if operation.api_verbs is None else operation.api_verbs
        endpoint = Endpoint(dict.fromkeys(verbs, operation), None, operation.name)
        for is_batch in (False, True):
            name = operation.name + (BATCH if is_batch else "")
            self._add_with_extensions(API + name, endpoint._replace(is_batch=is_batch))
            for key, format_ in FORMATS.items():
                # A page is no way to say anything, so what asks for pages speaks JSON.
                body_format = JSON if format_ is HTML else format_
                reply = endpoint._replace(format=format_, body_format=body_format, is_batch=is_batch)
                self._add_literal(f"/{key}/reply/{name}", reply)
                self._add_literal(f"/{key}/oneway/{name}", reply._replace(is_oneway=True))

    def _add_path(self, path: str, operations: dict[str, Operation]) -> None:
        endpoint = Endpoint(operations, None)
        if "{" not in path:
            self._add_with_extensions(path, endpoint)
            return
        pattern = path.lower().strip("/").split("/")
        self._patterns.append((pattern, endpoint))
        if not pattern[-1].startswith("{"):
            for key, format_ in FORMATS.items():
                self._patterns.append(([*pattern[:-1], f"{pattern[-1]}.{key}"], endpoint._replace(format=format_)))

    def _add_with_extensions(self, path: str, endpoint: Endpoint) -> None:
        self._add_literal(path, endpoint)
        for key, format_ in FORMATS.items():
            self._add_literal(f"{path}.{key}", endpoint._replace(format=format_))

    def _add_literal(self, path: str, endpoint: Endpoint) -> None:
        self._literal[path] = self._literal[path.lower()] = Match(endpoint)

    def _match(self, raw_path: bytes) -> Match | None:
        """Compared segment by segment as sent, so that an encoded slash stays inside its value."""
        segments = raw_path.strip(b"/").split(b"/")
        for pattern, endpoint in self._patterns:
            if len(pattern) == len(segments) and (values := _values(pattern, segments)) is not None:
                return _with_extension(endpoint, values) if pattern[-1].startswith("{") else Match(endpoint, values)
        return None


def beside(path: str) -> Endpoint:
    """A path that leads to no operation. Its extension still fixes the format of what is said there."""
    return Endpoint({}, FORMATS.get(path.lower().rpartition(".")[2]))


def _nowhere(lowered_path: str, key: str | None) -> Match:
    """It still has a format, for the words that say so."""
    endpoint = beside(lowered_path)._replace(api_operation="")
    return Match(endpoint._replace(format=FORMATS[key]) if key else endpoint)


def _values(pattern: list[str], segments: list[bytes]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        text = _decoded(segment)
        if expected.startswith("{"):
            values[expected[1:-1]] = text
        elif expected != text.lower():
            return None
    return values


def _with_extension(endpoint: Endpoint, values: dict[str, str]) -> Match:
    """An extension ends the last value, if a format has its key."""
    name = next(reversed(values))
    value, dot, extension = values[name].rpartition(".")
    format_ = FORMATS.get(extension.lower()) if dot else None
    if format_ is None:
        return Match(endpoint, values)
    return Match(endpoint._replace(format=format_), {**values, name: value})


def _decoded(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The path is not UTF-8.", code="SerializationException") from None
