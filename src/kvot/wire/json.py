"""JSON: written as ServiceStack writes it, read as leniently as ServiceStack reads it.

Writing is msgspec's encoder on the contract's own types. Reading tries msgspec first; only what it refuses goes through
the lenient reader, which knows what clients of a lenient server have got away with: bare words, missing values,
numbers with leading zeros.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kvot.contract.describe import Instant, members_of
from kvot.core.window import MS_PER_SECOND
from kvot.wire.brackets import BracketReader
from kvot.wire.document import DEPTH_MAX, Malformed, Twice, check_bounds, text_of
from kvot.wire.plan import dropped_value
from kvot.wire.renamed import renamed
from kvot.wire.rows import Reply
from kvot.wire.scalars import shortest_date, utc
from kvot.wire.style import JsonCase, JsonDates, Style


def write(reply: Reply, style: Style) -> bytes:
    if style.is_plain_json:
        return _encode(reply)
    if style.is_renamed_json:
        return _encode(renamed(reply, style.json_case))
    written = _encode(document_of(reply, style))
    return msgspec.json.format(written, indent=_INDENT) if style.is_indented else written


_INDENT = 4


def _raw(value: object) -> msgspec.Raw:
    """Scalars that JSON has no form for. The backslash of a date is on the wire: clients look for it."""
    if isinstance(value, Instant):
        return msgspec.Raw(b'"\\/Date(%d)\\/"' % value.ms)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_encoder = msgspec.json.Encoder(enc_hook=_raw)
_encode = _encoder.encode

write_lines = _encoder.encode_lines
"""Rows as JSON in the plain style, each on a line of its own."""


def document_of(value: Any, style: Style) -> Any:
    """A reply as dictionaries and lists, named and trimmed as a style wants it."""
    if isinstance(value, msgspec.Struct):
        members = ((each, each.get(value)) for each in _named_members(type(value), style.json_case))
        return {each.name: document_of(member, style) for each, member in members if _is_written(each, member, style)}
    if isinstance(value, list | tuple):
        return [document_of(each, style) for each in value]
    if isinstance(value, Instant) and style.json_dates is not JsonDates.TIMESTAMP:
        return _DATES[style.json_dates](value.ms)
    return value


class _NamedMember(NamedTuple):
    """`default` is what `edv` drops, `dropped` what is never written."""

    name: str
    get: Callable[[Any], Any]
    default: object
    dropped: object


_NO_DEFAULT = object()
_DEFAULTS: dict[str, object] = {"Int32": 0, "Int64": 0, "Boolean": False, "Guid": str(UUID(int=0))}
"""What the members of value types hold when nothing was said: what `edv` drops."""


def _is_written(member: _NamedMember, value: object, style: Style) -> bool:
    if value is None:
        return style.include_nulls
    if member.dropped is not None and value == member.dropped:
        return False
    return not (style.exclude_defaults and value == member.default)


@cache
def _named_members(struct: type[msgspec.Struct], case: JsonCase) -> list[_NamedMember]:
    members = zip(members_of(struct), msgspec.structs.fields(struct), strict=True)
    return [
        _NamedMember(
            {JsonCase.CAMEL: field.encode_name, JsonCase.PASCAL: member.wire_name, JsonCase.SNAKE: member.name}[case],
            attrgetter(member.name),
            _NO_DEFAULT if member.is_list or member.is_nullable else _DEFAULTS.get(member.clr, _NO_DEFAULT),
            dropped_value(field),
        )
        for member, field in members
    ]


_DATES: dict[JsonDates, Callable[[int], str | int]] = {
    JsonDates.ISO: shortest_date,
    JsonDates.ISO_DATE: lambda ms: shortest_date(ms)[:10],
    JsonDates.ISO_DATE_TIME: lambda ms: utc(ms).strftime("%Y-%m-%d %H:%M:%S"),
    JsonDates.RFC_1123: lambda ms: utc(ms).strftime("%a, %d %b %Y %H:%M:%S GMT"),
    JsonDates.UNIX_S: lambda ms: ms // MS_PER_SECOND,
    JsonDates.UNIX_MS: lambda ms: ms,
}


def read(body: bytes, members_max: int) -> Any:
    """The document in a body. An empty body is None, as is one of blanks."""
    openings = body.count(b"{") + body.count(b"[")
    if openings > DEPTH_MAX and _may_be_too_deep(body):
        document = _LenientReader(text_of(body), members_max).document()
    else:
        document = _decode(body, members_max)
    if openings + body.count(b",") > members_max:
        check_bounds(document, members_max)
    return document


def _decode(body: bytes, members_max: int) -> Any:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _LenientReader(text_of(body), members_max).document()
    if _may_repeat(body, document):
        json.loads(body, object_pairs_hook=_unique)
    return document


def _may_repeat(body: bytes, document: Any) -> bool:
    """False only if surely no member is there twice, which msgspec does not tell: every name ends in a quote, and the
    colons behind quotes are not more than the names that were kept. Nested objects are looked at by the other reader.
    """
    rows = document if isinstance(document, list) else [document]
    if not all(isinstance(row, dict) for row in rows):
        return False
    return len(_NAME_END.findall(body)) > sum(map(len, rows))


_NAME_END = re.compile(rb'"[ \t\r\n]*:')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Twice(name)
        members[name] = value
    return members


_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def _may_be_too_deep(body: bytes) -> bool:
    """False only if a body surely nests within the bound: each pass takes away the innermost brackets.

    msgspec recurses on the C stack for as long as the interpreter's recursion limit lets it, which on a small stack, or
    with a raised limit, ends the process. So it is only given what cannot nest deeply. Brackets inside strings may
    leave a rest; the lenient reader, which counts its levels, then decides.
    """
    brackets = body.translate(None, _ALL_BUT_BRACKETS)
    for _ in range(DEPTH_MAX):
        inner = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if not inner:
            return False
        if len(inner) == len(brackets):
            return True
        brackets = inner
    return True


_STRING_END = re.compile(r'[^"\\]*')
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[str, Any] = {"null": None, "true": True, "false": False}


class _LenientReader(BracketReader):
    """JSON with escapes in its strings; bare words end with their line."""

    key = re.compile(r"[^:,{}\[\]\r\n]*")
    object_word = re.compile(r"[^,}\r\n]*")
    list_word = re.compile(r"[^,\]\r\n]*")

    def document(self) -> Any:
        if self._next() == "":
            return None
        if self._next() not in "{[":
            raise Malformed("Expected '{'.")
        document = self._value(self.object_word, 1)
        if self._next() != "":
            raise Malformed(f"Unexpected text after the document at character {self._at}.")
        return document

    def _bare(self, text: str) -> Any:
        bare = text.strip()
        return _WORDS.get(bare, bare)

    def _expect(self, character: str, closing: str) -> None:
        found = self._next()
        if found == "":
            raise Malformed(f"A '{closing}' is missing at the end.")
        if found != character:
            raise Malformed(f"Expected '{character}' at character {self._at}.")
        self._at += 1

    def _quoted(self) -> str:
        self._at += 1
        parts: list[str] = []
        while True:
            parts.append(self._take(_STRING_END))
            ending = self._text[self._at : self._at + 1]
            self._at += 1
            if ending == '"':
                return _with_pairs("".join(parts))
            if ending == "":
                raise Malformed("A string does not end.")
            parts.append(self._escape())

    def _escape(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        if character != "u":
            return _ESCAPES.get(character, character)
        digits = self._text[self._at : self._at + 4]
        self._at += 4
        if len(digits) != 4 or not (digits.isascii() and digits.isalnum()):  # noqa: PLR2004
            raise Malformed(f"The escape at character {self._at - 6} is not \\u and four hexadecimal digits.")
        return _character(digits)


def _character(digits: str) -> str:
    try:
        return chr(int(digits, 16))
    except ValueError:
        raise Malformed(f"'\\u{digits}' is not a character.") from None


def _with_pairs(text: str) -> str:
    """Escapes of surrogates come in pairs that are one character; half a pair is none."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
