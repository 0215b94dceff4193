"""How a type is written as text by formats that are not JSON: made once per type, used for every reply.

The common reply has none of the members that may be missing: one that went well carries no ResponseStatus. For that
shape the whole text is one expression, compiled once, as `namedtuple` and `dataclass` compile theirs:

    lambda value: '<A>' f'{value.a}' '</A>' if value.response_status is None else piecewise(value)

All other shapes are put together member by member. Nothing that a client sends comes near the compiler: the expression
is made of the names of the contract's members and of the texts around them.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from kvot.contract.describe import Instant, MemberType

Writer = Callable[[Any], str]


class Writers(dict[Any, Callable[[Any], Any]]):
    """The writer of each type of reply, made by `make` when it is first needed. Types are few and live on."""

    def __init__(self, make: Callable[[Any], Callable[[Any], Any]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Callable[[Any], Any]:
        writer = self[key] = self._make(key)
        return writer


class Part(NamedTuple):
    """One member and the text around its value. `write` is `str` for values that write themselves.

    absent: what stands for a missing member; None: nothing, not even the separator. `dropped`: a value that counts as
    missing, beside None.
    """

    member: MemberType
    before: str
    write: Writer
    after: str
    absent: str | None
    dropped: object = None

    @property
    def is_optional(self) -> bool:
        return self.member.is_nullable or self.dropped is not None


def dropped_value(field: msgspec.structs.FieldInfo) -> object:
    """The value for which formats that leave out what is missing leave out a member too: its default, if it has one."""
    return None if field.default is msgspec.NODEFAULT else field.default


def no_moments(struct: type[msgspec.Struct]) -> dict[str, object]:
    """By member, the moment that stands for none: only the type of an operation that failed has any."""
    fields = msgspec.structs.fields(struct)
    return {field.name: field.default for field in fields if isinstance(field.default, Instant)}


class Plan:
    """`write` gives the text of one value."""

    def __init__(self, opening: str, parts: Sequence[Part], separator: str, closing: str) -> None:
        self._opening, self._separator, self._closing = opening, separator, closing
        self._parts = [(attrgetter(part.member.name), part) for part in parts]
        self.write = self._compiled(parts)

    def _compiled(self, parts: Sequence[Part]) -> Writer:
        named: dict[str, Any] = {"piecewise": self._piecewise}
        for part in parts:
            named |= {f"write_{part.member.name}": part.write, f"dropped_{part.member.name}": part.dropped}
        missing = " and ".join(_is_missing(part) for part in parts if part.is_optional) or "True"
        write: Writer = eval(f"lambda value: {self._source(parts)} if {missing} else piecewise(value)", named)
        return write

    def _source(self, parts: Sequence[Part]) -> str:
        expressions = f" {self._separator!r} ".join(filter(None, map(_expression, parts)))
        return f"{self._opening!r} {expressions} {self._closing!r}"

    def _piecewise(self, value: object) -> str:
        texts = (_text(part, get(value)) for get, part in self._parts)
        return self._opening + self._separator.join(text for text in texts if text is not None) + self._closing


def _expression(part: Part) -> str | None:
    """The text of a part as source: strings side by side, which Python makes one."""
    if part.is_optional:
        return None if part.absent is None else repr(part.absent)
    name = part.member.name
    value = f"{{value.{name}}}" if part.write is str else f"{{write_{name}(value.{name})}}"
    return f"{part.before!r} f'{value}' {part.after!r}"


def _is_missing(part: Part) -> str:
    name = part.member.name
    return f"value.{name} is None" if part.dropped is None else f"value.{name} == dropped_{name}"


def _text(part: Part, value: Any) -> str | None:
    if value is None or (part.dropped is not None and value == part.dropped):
        return part.absent
    return part.before + part.write(value) + part.after
