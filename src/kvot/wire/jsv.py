"""JSV: ServiceStack's JSON-like text with CSV's quoting. Names are PascalCase always.

    value  := quoted | object | list | bare
    quoted := '"' ( any except '"' | '""' )* '"'
    object := '{' [ key ':' value ( ',' key ':' value )* ] '}'
    list   := '[' [ value ( ',' value )* ] ']'   |   value ( ',' value )*     (without brackets at the top level only)
    bare   := characters up to ',' or the closing bracket of the current level

Every value is text until it is bound: JSV does not tell a number from a string. A missing value is the empty text.
"""

import re
from typing import Any

import msgspec

from kvot.contract.describe import MemberType, members_of
from kvot.wire.brackets import BracketReader
from kvot.wire.document import MEMBERS_MAX, Malformed, TooMany, text_of
from kvot.wire.plan import Part, Plan, Writer, Writers, dropped_value
from kvot.wire.rows import Reply
from kvot.wire.scalars import shortest_date
from kvot.wire.style import Style

_MUST_QUOTE = re.compile(r'[",:{}\[\]\r\n]|^\s|\s\Z')


def write(reply: Reply, style: Style) -> bytes:
    text: str = _writers[type(reply)](reply)
    return text.encode()


def _make_writer(type_: Any) -> Writer:
    if type_ is list:
        return lambda replies: f"[{','.join([_write_any(each) for each in replies])}]"
    fields = zip(members_of(type_), msgspec.structs.fields(type_), strict=True)
    parts = [
        Part(member, f"{member.wire_name}:", writer_of(member), "", None, dropped_value(field))
        for member, field in fields
    ]
    return Plan("{", parts, ",", "}").write


_writers = Writers(_make_writer)


def writer_of(member: MemberType) -> Writer:
    """How the value of a member is written, also in the cells of CSV."""
    write_one = _WRITERS.get(member.clr, _write_any)
    if member.is_list:
        return lambda items: "[" + ",".join(map(write_one, items)) + "]"
    return write_one


def write_string(text: str) -> str:
    if text and not _MUST_QUOTE.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def write_text(text: str) -> str:
    """A text that stands alone and so needs no quotes."""
    return text


def _write_any(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        nested: str = _writers[type(value)](value)
        return nested
    if isinstance(value, dict):
        return "{" + ",".join(f"{write_string(key)}:{_write_any(each)}" for key, each in value.items()) + "}"
    return write_string(str(value))


_WRITERS: dict[str, Writer] = {
    "Int32": str,
    "Int64": str,
    "Boolean": ("False", "True").__getitem__,
    "Guid": str,
    "DateTime": lambda value: shortest_date(value.ms),
    "String": write_string,
}


def read(body: bytes, members_max: int) -> Any:
    """The document in a body: an object or a list, whose brackets are optional. An empty body is None."""
    text = text_of(body)
    return _Reader(text, members_max).body() if text else None


def read_object(text: str) -> dict[str, Any]:
    """An object in the value of a query or form field."""
    if not text.startswith("{"):
        raise Malformed("Expected '{'.")
    document = _Reader(text, MEMBERS_MAX).document()
    assert isinstance(document, dict)
    return document


def read_list(text: str) -> list[Any]:
    """A list in the value of a query or form field. Its brackets are optional: `a,b`, `[a,b]`."""
    reader = _Reader(text if text.startswith("[") else f"[{text}]", MEMBERS_MAX)
    document = reader.document()
    assert isinstance(document, list)
    return document


_QUOTED = re.compile(r'[^"]*')


class _Reader(BracketReader):
    """JSV: quotes in a string are doubled, and bare words go on to the end of their level."""

    key = re.compile(r"[^:,{}\[\]]*")
    object_word = re.compile(r"[^,}]*")
    list_word = re.compile(r"[^,\]]*")

    top_word = re.compile(r"[^,]*")

    def body(self) -> Any:
        """One object or list, or else the items of a list. An object begins with its brace, without blanks before."""
        is_one = self._text[0] in "{["
        first = self._value(self.top_word, 1)
        if is_one and (following := self._next()) != ",":
            if following:
                raise Malformed(f"Unexpected text after the closing bracket at character {self._at}.")
            return first
        items = [first]
        while self._next() == ",":
            self._at += 1
            self._members_left -= 1
            if self._members_left < 1:
                raise TooMany(self._members_max)
            items.append(self._value(self.top_word, 1))
        if self._next():
            raise Malformed(f"Expected ',' at character {self._at}.")
        return items

    def document(self) -> Any:
        document = self._value(self.object_word, 1)
        if self._next() != "":
            raise Malformed(f"Unexpected text after the closing bracket at character {self._at}.")
        return document

    def _bare(self, text: str) -> Any:
        return text.rstrip()

    def _expect(self, character: str, closing: str) -> None:
        found = self._next()
        if found == "":
            raise Malformed(f"A '{closing}' is missing at the end.")
        if found != character:
            raise Malformed(f"Expected '{character}' at character {self._at}.")
        self._at += 1

    def _quoted(self) -> str:
        parts: list[str] = []
        while True:
            self._at += 1
            parts.append(self._take(_QUOTED))
            if self._at >= len(self._text):
                raise Malformed("A quoted string does not end.")
            self._at += 1
            if self._text[self._at : self._at + 1] != '"':
                return '"'.join(parts)
