"""A body that has been read but not yet bound: dictionaries, lists and scalars, whatever the format was.

Its bounds are those of every format: how deep it nests and how many members it has.
"""

from collections import Counter
from typing import Any

DEPTH_MAX = 64
"""Our deepest type nests four levels; more levels only serve to exhaust a stack."""

MEMBERS_MAX = 10_000
"""Members and items of one document. Where a list of events is expected, `LIST_ITEMS_MAX` takes its place."""

LIST_ITEMS_MAX = 20_000
"""Events of one import. In the megabyte that a body may have by default, an event takes some two hundred bytes."""

LIST_MEMBERS_MAX = 130_000
"""Their members: a megabyte of names and values of eight bytes. The slowest reader takes half a second for them."""


class Malformed(ValueError):
    """A body that is not a document of its format. The text says what is wrong, for people."""


class Element(dict[str, Any]):
    """Elements in an element, where a format has nothing else: members of an object, entries of a map or items of a
    list, as the type that is filled will have it. `items_in_order` has every one, also those of one name; `repeated`
    are the names that are there more than once, which only a list may have."""

    def __init__(self, children: list[tuple[str, Any]]) -> None:
        super().__init__(children)
        self.items_in_order = [child for _, child in children]
        names = Counter(name for name, _ in children) if len(self) < len(children) else {}
        self.repeated = frozenset(name for name, times in names.items() if times > 1)


class _EmptyElement(str):
    """Text of its own, so that it can be told from text that somebody wrote."""

    __slots__ = ()


EMPTY_ELEMENT = _EmptyElement()
"""An element with nothing in it: empty text, or an empty list or map where the type has one."""


class BrokenRow(str):
    """A row that is no document, as its text, in a format where one bad row must not spoil the others."""

    why: str

    def __new__(cls, text: str, why: str) -> "BrokenRow":
        row = super().__new__(cls, text)
        row.why = why
        return row


class TooDeep(Malformed):
    def __init__(self) -> None:
        super().__init__(f"It nests more than {DEPTH_MAX} levels.")


class TooMany(Malformed):
    def __init__(self, members_max: int) -> None:
        super().__init__(f"It has more than {members_max} members.")


class Twice(Malformed):
    """A member that a document says twice: which of the two was meant, nobody can tell."""

    def __init__(self, name: str) -> None:
        super().__init__(f"It has the member '{name[:64]}' twice.")


def check_bounds(document: Any, members_max: int) -> None:
    """Refuse a document that nests too deeply or has too many members. Linear, and never recursive."""
    level = [document] if isinstance(document, dict | list) else []
    members = 0
    for _ in range(DEPTH_MAX):
        members += sum(map(len, level))
        if members > members_max:
            raise TooMany(members_max)
        level = [child for container in level for child in _children(container) if isinstance(child, dict | list)]
        if not level:
            return
    raise TooDeep


def _children(container: dict[str, Any] | list[Any]) -> Any:
    return container.values() if isinstance(container, dict) else container


def text_of(body: bytes) -> str:
    """The text of a body: UTF-8, without its byte order mark."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"It is not UTF-8: byte {error.start} cannot be read.") from None
