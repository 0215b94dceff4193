"""How a type is written as text by formats that are not JSON: made once per type, used for every reply.

The common reply has none of the members that may be missing: one that went well carries no ResponseStatus. For that
shape the whole text is one template, filled in a single step. All others are put together member by member.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from kvot.contract.describe import MemberType

Writer = Callable[[Any], str]


class Part(NamedTuple):
    """One member and the text around its value. `write` is `str` for values that write themselves.

    absent: what stands for a missing member; None: nothing, not even the separator.
    """

    member: MemberType
    before: str
    write: Writer
    after: str
    absent: str | None


class Plan:
    def __init__(self, opening: str, parts: Sequence[Part], separator: str, closing: str) -> None:
        self._opening, self._separator, self._closing = opening, separator, closing
        self._parts = [(attrgetter(part.member.name), part) for part in parts]
        required = [part for part in parts if not part.member.is_nullable]
        self._required = _tuple_getter([part.member.name for part in required])
        self._optional = [attrgetter(part.member.name) for part in parts if part.member.is_nullable]
        self._rewritten = [(at, part.write) for at, part in enumerate(required) if part.write is not str]
        self._template = self._wrapped(_template(part) for part in parts)

    def write(self, value: object) -> str:
        for get in self._optional:
            if get(value) is not None:
                return self._wrapped(self._text(part, get(value)) for get, part in self._parts)
        if not self._rewritten:
            return self._template % self._required(value)
        values = list(self._required(value))
        for at, write in self._rewritten:
            values[at] = write(values[at])
        return self._template % tuple(values)

    def _wrapped(self, texts: Any) -> str:
        return self._opening + self._separator.join(text for text in texts if text is not None) + self._closing

    @staticmethod
    def _text(part: Part, value: Any) -> str | None:
        return part.absent if value is None else part.before + part.write(value) + part.after


def _template(part: Part) -> str | None:
    if part.member.is_nullable:
        return part.absent
    return f"{part.before}%s{part.after}"


def _tuple_getter(names: Sequence[str]) -> Callable[[object], tuple[Any, ...]]:
    """attrgetter, but a tuple for one name and for none too."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda value: ()
    get = attrgetter(names[0])
    return lambda value: (get(value),)
