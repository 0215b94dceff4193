"""A JSON object as Gemini reads it: each member in camelCase or in snake_case, a number as a number or as text.

Source: the JSON form of protocol buffers, which every Google API takes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.providers.members import Document, Place, invalid, with_values

NUMBER_MAX = 2**31 - 1

_BEHIND_UNDERSCORE = re.compile(r"(?!^)_(.)")
_DIGITS = re.compile(r"-?[0-9]{1,10}")


@dataclass(slots=True)
class Message:
    """members, by their names in camelCase. written: those names as the client wrote them."""

    document: Document
    members: Mapping[str, Any]
    written: Mapping[str, str]

    def without_content(self) -> "Message":
        """As `Document.without_content`."""
        document = self.document.without_content()
        if document is self.document:
            return self
        kept = {name: value for name, value in self.members.items() if self.written[name] in document.members}
        return Message(document, kept, self.written)

    def with_member(self, name: str, value: bytes) -> bytes:
        """Changed in that place alone; as the client wrote the name, or in camelCase where it did not."""
        return with_values(self.document.body, self.document.places, {self.written.get(name, name): value})

    def inner(self, name: str) -> "Message":
        """A member that is an object; an empty one where it is absent or null."""
        value = self.members.get(name)
        if value is None:
            return message_of(Document(b"{}", {}))
        if not isinstance(value, dict):
            raise invalid(name, f"'{name}' must be an object.")
        start, end = self._place(name)
        body = self.document.body[start:end]
        return message_of(Document(body, value))

    def _place(self, name: str) -> Place:
        return self.document.places[self.written[name]]

    def whole_at(self, name: str, most: int = NUMBER_MAX) -> int | None:
        """None where it is absent, null, or 0, which is how protocol buffers write a number that is not set."""
        value = self.members.get(name)
        number = _whole(value)
        if value is not None and (number is None or not 0 <= number <= most):
            raise invalid(name, f"'{name}' must be a whole number up to {most}.")
        return number or None


def message_of(document: Document) -> Message:
    """Raises InvalidRequest where both names of one member are there: which of them counts, nobody can tell."""
    written: dict[str, str] = {}
    for name in document.members:
        camel = camel_case(name)
        if camel in written:
            raise _twice(camel)
        written[camel] = name
    return Message(document, {camel: document.members[name] for camel, name in written.items()}, written)


def _twice(name: str) -> InvalidRequest:
    return invalid(name, f"The request has the member '{name[:64]}' twice.")


def camel_case(name: str) -> str:
    """An underscore at its beginning is a part of the name: there is a `_responseJsonSchema`. One in both ways of
    writing is another name, that no protocol buffer has."""
    if "_" not in name or name.lower() != name:
        return name
    return _BEHIND_UNDERSCORE.sub(lambda match: match[1].upper(), name)


def member(value: object, name: str) -> Any:
    """By its name in camelCase, of a value that may be no object at all. Raises InvalidRequest where it has both."""
    if not isinstance(value, dict):
        return None
    found = [each for each in value if camel_case(each) == name]
    if len(found) > 1:
        raise _twice(name)
    return value[found[0]] if found else None


def written(value: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Those of its members that have one of the names in camelCase, as they are written."""
    return [each for each in value if camel_case(each) in names]


def items(value: object) -> list[Any]:
    """A repeated member: Google's APIs take one item without its list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _whole(value: object) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None
