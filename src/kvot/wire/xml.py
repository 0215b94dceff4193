"""XML in the dialect of .NET's DataContractSerializer, with a writer of our own and the standard library's expat.

Our types are in the namespace of the host's DTOs, members in ordinal order; those that come from ServiceStack are in
its namespace and keep their own order. A member that is missing is written as nil; a moment, whose type cannot be
nil, is left out, which the original reads as none.

Reading is more lenient than the original, which skips an element that is out of order or in another namespace: names
are compared without namespace and in any order, since skipping a member would act on something that the caller did
not mean. The root may have any name. A document type is refused, and with it every entity but the five of XML.
"""

import re
from functools import cache
from typing import Any
from xml.parsers import expat

import msgspec

from kvot.contract.describe import MemberType, members_of
from kvot.contract.signin import AuthenticateResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire.document import DEPTH_MAX, EMPTY_ELEMENT, Element, Malformed, TooDeep, TooMany
from kvot.wire.plan import Part, Plan, Writer, Writers, no_moments
from kvot.wire.rows import Reply
from kvot.wire.scalars import shortest_date
from kvot.wire.style import Style

ATTRIBUTES_MAX = 64
"""Attributes of one element. A serializer writes a handful of namespaces and `i:nil`."""

ATTRIBUTE_CHARACTERS_MAX = 8_192
"""All attributes of one element together: namespaces are addresses, and no address is that long."""

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SERVICESTACK = "http://schemas.servicestack.net/types"
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_DTOS = "http://schemas.datacontract.org/2004/07/"
_OF_SERVICESTACK = frozenset({AuthenticateResponse, ErrorResponse, ResponseError, ResponseStatus})
"""Types that keep the order of their declaration."""


def write(reply: Reply, style: Style) -> bytes:
    if isinstance(reply, list):
        return _write_batch(reply, style.dto_namespace).encode()
    text: str = _writers[type(reply), style.dto_namespace](reply)
    return text.encode()


def _write_batch(replies: Any, dto_namespace: str) -> str:
    if not replies:
        return f'{_DECLARATION}<ArrayOfanyType xmlns="{_ARRAYS}" />'
    struct: type[msgspec.Struct] = type(replies[0])
    name = f"ArrayOf{struct.__name__}"
    write_one = _struct_writer(struct, struct.__name__, "", 2, _is_foreign(struct))
    return f"{_opening(name, struct, dto_namespace)}{''.join(map(write_one, replies))}</{name}>"


def _make_writer(type_and_namespace: tuple[type[msgspec.Struct], str]) -> Writer:
    """A whole document in one go."""
    struct, dto_namespace = type_and_namespace
    name = struct.__name__
    opening = _opening(name, struct, dto_namespace)
    return Plan(opening, _parts(struct, "", 1, _is_foreign(struct)), "", f"</{name}>").write


_writers = Writers(_make_writer)


def _opening(name: str, struct: type[msgspec.Struct], dto_namespace: str) -> str:
    namespace = _SERVICESTACK if _is_foreign(struct) else _escaped(f"{_DTOS}{dto_namespace}").replace('"', "&quot;")
    return f'{_DECLARATION}<{name} xmlns:i="{_INSTANCE}" xmlns="{namespace}">'


def _is_foreign(struct: type[msgspec.Struct]) -> bool:
    return struct in _OF_SERVICESTACK


def _parts(struct: type[msgspec.Struct], prefix: str, depth: int, is_in_servicestack: bool) -> list[Part]:
    """`depth` is that of the element of the struct itself; prefixes that its members declare are numbered by theirs."""
    members = list(members_of(struct))
    if not _is_foreign(struct):
        members.sort(key=lambda member: member.wire_name)
    parts = [_part(each, prefix, depth + 1, is_in_servicestack) for each in members]
    for name, none in no_moments(struct).items():
        parts = [part._replace(absent=None, dropped=none) if part.member.name == name else part for part in parts]
    return parts


def _part(member: MemberType, prefix: str, depth: int, is_in_servicestack: bool) -> Part:
    tag = prefix + member.wire_name
    inner, declaration = _inner_prefix(member, prefix, depth, is_in_servicestack)
    writer = _writer(member, inner, depth, is_in_servicestack)
    opening, closing, nil = f"<{tag}{declaration}>", f"</{tag}>", f'<{tag} i:nil="true" />'
    if not (member.is_list or member.clr == "dict"):
        return Part(member, opening, writer, closing, nil)
    empty = f"<{tag}{declaration} />"
    return Part(member, "", lambda items: f"{opening}{writer(items)}{closing}" if items else empty, "", nil)


def _inner_prefix(member: MemberType, prefix: str, depth: int, is_in_servicestack: bool) -> tuple[str, str]:
    """The prefix of the elements in a member, and its declaration where their namespace is not the member's."""
    is_array = member.clr == "dict" or (member.is_list and not issubclass(member.scalar, msgspec.Struct))
    if is_array:
        return f"d{depth}p1:", f' xmlns:d{depth}p1="{_ARRAYS}"'
    if _is_foreign(member.scalar) and not is_in_servicestack:
        return f"d{depth}p1:", f' xmlns:d{depth}p1="{_SERVICESTACK}"'
    return prefix, ""


def _writer(member: MemberType, prefix: str, depth: int, is_in_servicestack: bool) -> Writer:
    if not issubclass(member.scalar, msgspec.Struct):
        return _plain_writer(member, prefix)
    is_foreign = is_in_servicestack or _is_foreign(member.scalar)
    if not member.is_list:
        return Plan("", _parts(member.scalar, prefix, depth, is_foreign), "", "").write
    write_one = _struct_writer(member.scalar, member.clr, prefix, depth + 1, is_foreign)
    return lambda items: "".join(map(write_one, items))


@cache
def _struct_writer(struct: type[msgspec.Struct], name: str, prefix: str, depth: int, is_foreign: bool) -> Writer:
    tag = prefix + name
    return Plan(f"<{tag}>", _parts(struct, prefix, depth, is_foreign), "", f"</{tag}>").write


def _plain_writer(member: MemberType, prefix: str) -> Writer:
    if member.clr == "dict":
        return lambda entries: "".join(_entry(prefix, name, text) for name, text in entries.items())
    write_one = _WRITERS[member.clr]
    if not member.is_list:
        return write_one
    tag = prefix + _ARRAY_NAMES[member.clr]
    return lambda items: "".join(f"<{tag}>{write_one(item)}</{tag}>" for item in items)


def _entry(prefix: str, name: str, text: str) -> str:
    tag = f"{prefix}KeyValueOfstringstring"
    key, value = f"{prefix}Key", f"{prefix}Value"
    return f"<{tag}><{key}>{_escaped(name)}</{key}><{value}>{_escaped(text)}</{value}></{tag}>"


_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"}
_MUST_ESCAPE = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _escaped(text: str) -> str:
    """A bare carriage return would be read as a line feed. What XML cannot carry at all becomes U+FFFD."""
    return _MUST_ESCAPE.sub(lambda found: _ESCAPED.get(found[0], "\N{REPLACEMENT CHARACTER}"), text)


_WRITERS: dict[str, Writer] = {
    "Int32": str,
    "Int64": str,
    "Boolean": ("false", "true").__getitem__,
    "Guid": str,
    "DateTime": lambda value: _date(value.ms),
    "String": _escaped,
}
_ARRAY_NAMES = {"Int32": "int", "Int64": "long", "Boolean": "boolean", "String": "string"}


def _date(ms: int) -> str:
    """Unlike JSV, midnight too has its time of day, and fractions have no zeros at the end."""
    text = shortest_date(ms)
    if len(text) == len("2026-03-04"):
        return f"{text}T00:00:00Z"
    return text[:-1].rstrip("0") + "Z" if "." in text else text


def read(body: bytes, members_max: int) -> Any:
    """The document in a body: what the root element holds. An empty body is None."""
    if not body.strip():
        return None
    return _Reader(members_max).document(body)


class _Reader:
    """Expat's events, put together. Expat looks at every byte once: it is given the whole body at one time."""

    def __init__(self, members_max: int) -> None:
        self._members_max = self._members_left = members_max
        self._open: list[tuple[str, bool, list[tuple[str, Any]], list[str]]] = []
        self._document: Any = None

    def document(self, body: bytes) -> Any:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse_doctype
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            raise Malformed(f"{expat.ErrorString(error.code)} at line {error.lineno}.") from None
        except (LookupError, ValueError) as error:  # a declared encoding that Python does not know
            if isinstance(error, Malformed):
                raise
            raise Malformed("Its encoding is not known.") from None
        return self._document

    def _start(self, name: str, attributes: list[str]) -> None:
        self._members_left -= 1
        if self._members_left < 0:
            raise TooMany(self._members_max)
        if len(self._open) >= DEPTH_MAX:
            raise TooDeep
        if len(attributes) > 2 * ATTRIBUTES_MAX:
            raise Malformed(f"An element has more than {ATTRIBUTES_MAX} attributes.")
        if attributes and sum(map(len, attributes)) > ATTRIBUTE_CHARACTERS_MAX:
            raise Malformed(f"The attributes of an element have more than {ATTRIBUTE_CHARACTERS_MAX} characters.")
        pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
        is_nil = pairs.get(f"{_INSTANCE} nil", "").strip() in ("true", "1")
        self._open.append((name.rpartition(" ")[2], is_nil, [], []))

    def _text(self, text: str) -> None:
        self._open[-1][3].append(text)

    def _end(self, _: str) -> None:
        name, is_nil, children, texts = self._open.pop()
        value = None if is_nil else Element(children) if children else "".join(texts) or EMPTY_ELEMENT
        if self._open:
            self._open[-1][2].append((name, value))
        else:
            self._document = value


def _refuse_doctype(*_: Any) -> None:
    raise Malformed("A document type is not accepted.")
