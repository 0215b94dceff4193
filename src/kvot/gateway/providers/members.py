"""A request's JSON object by its members' places, so that one can be changed without touching the bytes of another.

Reading is strict: what a provider might read otherwise than we do (a member twice, text after the object, bytes that
are not UTF-8) is refused, as the hold would then be for another call than the one that is made.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from math import isinf
from typing import Any, NamedTuple

import msgspec

from kvot.core.errors import FieldError, InvalidRequest
from kvot.core.model import TEXT_LENGTH_MAX, TOKENS_MAX
from kvot.gateway.dialect import LONG_BYTES
from kvot.wire.document import DEPTH_MAX

MEMBERS_MAX = 100_000
"""Objects, lists, and what they have beyond their first member, of a request. A conversation of 16,000 messages, each
with its parts, has so many.

Measured with a request to chat, on one core of a small server, CPython 3.11. The worst that is taken: objects in
objects (0.6 MB) 0.31 s and 18 MB; 20 MB of as many texts 0.24 s and 28 MB, where they are Cyrillic 48 MB; 20 MB of
numbers of 200 digits behind a point 0.31 s and 6 MB, and of whole ones of 4,300 digits 0.46 s and 9 MB. The worst that
is refused, 20 MB of objects, lists or numbers: 0.18 s and under 1 MB. A text of 20 MB with one character beyond U+FFFF
is 0.15 s and 80 MB, as CPython gives each of its characters four bytes; once its tokens are held it is let go of."""

NUMBERS_MAX = 320_000
"""The items of a request that may list tokens by their numbers, in the place of MEMBERS_MAX. The most that a provider
takes are the 300,000 of an embedding's input. As many texts in their place, 20 MB of them, are 0.46 s and 42 MB; as
many numbers with 16 digits behind a point 0.54 s and 21 MB."""

LISTS_MAX = 10_000
"""Such a request's lists, objects and members. It may have 2,048 inputs."""

OWN_MEMBERS_MAX = 1_000
"""Members of the object itself. No API knows a hundred."""

Place = tuple[int, int]


class Document(NamedTuple):
    """body: as the client sent it. members: read, none of them twice."""

    body: bytes
    members: Mapping[str, Any]

    @property
    def places(self) -> Mapping[str, Place]:
        """Where the value of each begins and ends. Looked for only when one is to change: most requests go on as
        they are."""
        return places_of(self.body)

    def without_content(self) -> "Document":
        """Of a long request, without its own texts and lists: nothing is left in them that a call needs."""
        if len(self.body) < LONG_BYTES:
            return self
        kept = {name: value for name, value in self.members.items() if not isinstance(value, str | list)}
        return Document(self.body, kept)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Written(float):
    """A number of a request that has more characters there than Python writes: 1.00, or thousands of digits."""

    __slots__ = ("characters",)
    characters: int


def _number(written: str) -> float:
    value = float(written)
    if isinf(value):
        raise ValueError("Number out of range")
    if len(written) <= len(repr(value)):
        return value
    number = Written(value)
    number.characters = len(written)
    return number


_decode_object = msgspec.json.Decoder(dict[str, Any], float_hook=_number).decode


def read_object(body: bytes, *, lists_tokens: bool = False) -> Document:
    """A request's document. lists_tokens: it may list tokens by their numbers. Raises InvalidRequest, for people."""
    try:
        _check_size(body, _WITH_TOKENS if lists_tokens else _BOUNDS)
        members = _decode_object(body)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise InvalidRequest("The request body is not UTF-8.") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The request body is not a JSON object: {error}.") from None
    if _names_written(body) != _names_read(members):
        json.loads(body, object_pairs_hook=_unique)
    if len(members) > OWN_MEMBERS_MAX:
        raise InvalidRequest(f"The request has more than {OWN_MEMBERS_MAX} members of its own.")
    if any(map(_CONTROL.search, members)):  # a parser may end the name there
        raise InvalidRequest("The request has a member whose name has a control character.")
    return Document(body, members)


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The request body nests more than {DEPTH_MAX} levels.")


def _twice(name: str) -> InvalidRequest:
    return InvalidRequest(f"The request has the member '{name[:64]}' twice.")


def _names_read(document: Any) -> int:
    """How many members all objects have together; on the way, the depth is looked at."""
    names = 0
    level = [document]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for each in level:
            if type(each) is dict:
                names += len(each)
                inner += [value for value in each.values() if type(value) is dict or type(value) is list]
            else:
                inner += [value for value in each if type(value) is dict or type(value) is list]
        if not inner:
            return names
        level = inner
    raise _too_deep()


_SPACE_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:')


def _names_written(body: bytes) -> int:
    """The same, by the bytes: a quote and a colon end a name, as inside a string a quote has a backslash before it.

    Where that is not sure (a space between them, or a backslash that is escaped itself before a quote), strings are
    told from what is outside of them.
    """
    if b'\\\\"' in body or _SPACE_BEFORE_COLON.search(body):
        return _COLONS.count(body)
    return body.count(b'":') - body.count(b'\\":')


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise _twice(name)
        names.add(name)


_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NAME = re.compile(rb'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NEXT = re.compile(rb"[ \t\r\n]*[,}]")


def places_of(body: bytes) -> dict[str, Place]:
    """Where the values of an object's own members are. Raises InvalidRequest where one is there twice, and
    what the decoder raises.

    The decoder hands out each value's bytes, the last of a name, in order: so the walk looks at names alone. Where the
    bytes at a place are not those handed out, the name comes again.
    """
    values = _decode_members(body)
    if len(values) > OWN_MEMBERS_MAX:
        raise InvalidRequest(f"The request has more than {OWN_MEMBERS_MAX} members of its own.")
    places: dict[str, Place] = {}
    at = body.index(b"{") + 1
    for _ in range(len(values) + 1):
        match = _NAME.match(body, at)
        if match is None:
            break
        name = msgspec.json.decode(match[1], type=str)
        value = memoryview(values[name])
        start, end = match.end(), match.end() + len(value)
        after = _NEXT.match(body, end)
        if name in places or body[start:end] != value or after is None:
            raise _twice(name)
        places[name] = start, end
        at = after.end()
    return places


class _Marks:
    """Bytes that mean something to JSON outside of strings, and nothing inside of them."""

    def __init__(self, marks: bytes) -> None:
        self._marks = marks
        # As far as the next of them, or the end. It never goes back and never fails: linear in any JSON.
        of = re.escape(marks)
        self._next = re.compile(rb'(?:[^"%b]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+(?:([%b])|\Z)' % (of, of), re.DOTALL)

    def count(self, body: bytes, most: int | None = None) -> int:
        """Of a body that is JSON, as far as one beyond `most`. Takes no memory, however many there are."""
        found = self._next.finditer(body)
        return sum(match.lastindex is not None for match in islice(found, None if most is None else most + 1))

    def are_at_most(self, most: int, body: bytes) -> bool:
        """Raises what the decoder raises. Strings are only looked for where, with what is in them, there are more."""
        if len(body) <= most or sum(map(body.count, self._marks)) <= most:
            return True
        _check_form(body)  # what is no JSON cannot be counted
        return self.count(body, most) <= most


_check_form = msgspec.json.Decoder(msgspec.Raw).decode  # makes nothing of what it reads

_COLONS = _Marks(b":")
_BOUNDS = ((_Marks(b"[{,"), MEMBERS_MAX),)
_WITH_TOKENS = ((_Marks(b","), NUMBERS_MAX), (_Marks(b"[{:"), LISTS_MAX))


def _check_size(body: bytes, bounds: Iterable[tuple[_Marks, int]]) -> None:
    """Refuse a document of too many members before it takes memory. Raises what the decoder raises."""
    for marks, most in bounds:
        if not marks.are_at_most(most, body):
            raise InvalidRequest(f"The request has more than {most} members.")


def with_values(body: bytes, places: Mapping[str, Place], values: Mapping[str, bytes]) -> bytes:
    """The object with these values: in the place of the old one, or, where there was none, in front of all others."""
    new = [(name, value) for name, value in values.items() if name not in places]
    changed = sorted((places[name], value) for name, value in values.items() if name in places)
    at = body.index(b"{") + 1
    added = b",".join(msgspec.json.encode(name) + b":" + value for name, value in new)
    pieces = [body[:at], added, b"," if added and places else b""]
    for (start, end), value in changed:
        pieces += [body[at:start], value]
        at = end
    return b"".join([*pieces, body[at:]])


def check_case(members: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse a known member whose name is not in lower case. Servers written in Go take names in any case, also with
    letters that fold to them, and the last of those: it could say something else than what is read here."""
    for name in members:
        if name not in known and name.casefold() in known:
            raise InvalidRequest(f"The member '{name[:64]}' must be written '{name.casefold()}'.")


def invalid(name: str, message: str) -> InvalidRequest:
    return InvalidRequest.of_fields([FieldError(name, "InvalidRequest", message)])


def text_at(members: Mapping[str, Any], name: str, length_max: int = TEXT_LENGTH_MAX) -> str:
    """The default bound is that of the ledger's labels."""
    value = members.get(name)
    if not isinstance(value, str) or not value or len(value) > length_max or not value.isprintable():
        raise invalid(name, f"'{name}' must be text of 1 to {length_max} characters.")
    return value


def truth_at(members: Mapping[str, Any], name: str) -> bool:
    """False where it is absent or null."""
    value = members.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, f"'{name}' must be true or false.")
    return bool(value)


def whole_at(members: Mapping[str, Any], name: str, least: int = 1, most: int = TOKENS_MAX) -> int | None:
    """None where it is absent or null."""
    value = members.get(name)
    if value is not None and (type(value) is not int or not least <= value <= most):
        raise invalid(name, f"'{name}' must be a whole number from {least} to {most}.")
    return value


def object_at(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where it is absent or null."""
    value = members.get(name)
    if value is not None and not isinstance(value, dict):
        raise invalid(name, f"'{name}' must be an object.")
    return value or {}
