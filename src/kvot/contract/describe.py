"""The words in which the contract describes itself.

A type of the contract is a `msgspec.Struct` whose members carry `Annotated` notes: a scalar says its CLR type (`Guid`,
`Int`, `Long`, `DateTime`), a member its description and rules (`Member`). `members_of` reads them once per type; wire
formats, binding, validation, metadata pages and generated classes all work from that.

Python names are snake_case; the wire's name is the same in PascalCase (`company_id`, `CompanyId`).
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import msgspec


@dataclass(frozen=True, slots=True)
class Clr:
    """The CLR type that a scalar stands for."""

    name: str


class Instant:
    """A moment on the wire: milliseconds since the epoch. A class of its own so that formats know it from a number."""

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instant) and other.ms == self.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __repr__(self) -> str:
        return f"Instant({self.ms})"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in a member whose value was not of its type, as it was sent (cut to 100 characters). `why` says
    what is wrong with an item that could not be read at all, and is empty otherwise.

    Only items of an `Operation.list_member` hold it: there each item answers for itself, so that a bad one never
    stops a good one. Skipping the value would act on something that the caller did not mean.
    """

    text: str
    why: str = field(default="", compare=False)


def unreadable_member(request: "Request") -> tuple[str, Unreadable] | None:
    """The wire name of the first member that could not be read and what stands in it, or None when all could."""
    for member in members_of(type(request)):
        value = getattr(request, member.name)
        if isinstance(value, Unreadable):
            return member.wire_name, value
    return None


Guid = Annotated[str, Clr("Guid")]
Int = Annotated[int, Clr("Int32")]
Long = Annotated[int, Clr("Int64")]
DateTime = Annotated[Instant, Clr("DateTime")]


@dataclass(frozen=True, slots=True)
class Rule:
    """One validation rule of a member. `code` and the texts are those of docs/reference/errors.md.

    `bounds` are the values that the message names, by placeholder. `hint` stands behind it: what to do instead.
    """

    code: str
    bounds: Mapping[str, int] = field(default_factory=dict)
    hint: str = ""


def greater_than(least: int, *, hint: str = "") -> Rule:
    return Rule("GreaterThan", {"ComparisonValue": least}, hint)


def between(least: int, most: int) -> Rule:
    return Rule("InclusiveBetween", {"From": least, "To": most})


NOT_EMPTY = Rule("NotEmpty")


@dataclass(frozen=True, slots=True)
class Member:
    """What an `[ApiMember]` says of a member, and the rules that its value must meet.

    `data_type` and `parameter_type` None: not stated, so pages show the CLR type and the place that follows from the
    route. `refuse_malformed`: a value of the wrong type in a body is an error for this member, where the contract would
    skip it, because skipping would act on something that the caller did not mean. `says_whose`: the member decides
    whose ledger a call is about, so a request that says it twice, in query and body say, must say it alike, whichever
    would win. `is_secret`: no error repeats the value.
    """

    description: str
    data_type: str | None = None
    parameter_type: str | None = None
    is_required: bool = False
    rules: tuple[Rule, ...] = ()
    refuse_malformed: bool = False
    says_whose: bool = False
    is_secret: bool = False


class Request(msgspec.Struct, kw_only=True):
    """Base of every request type. All members have defaults: what is missing is found by rules, not by binding."""


class Response(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of every response type. A member that may be missing defaults to None; no other member has a default, so
    that a zero or an empty list is always written."""


@dataclass(frozen=True, slots=True)
class MemberType:
    """One member of a type: `scalar` is the Python type inside Optional and list."""

    name: str  # company_id
    wire_name: str  # CompanyId
    scalar: type[Any]
    clr: str  # Guid, Int32, String, or the name of another type of the contract
    is_list: bool
    is_nullable: bool
    member: Member | None


@cache
def members_of(struct: type[msgspec.Struct]) -> tuple[MemberType, ...]:
    """The members of a type of the contract in order of declaration, base types first."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return tuple(_member_type(name, hints[name]) for name in struct.__struct_fields__)


def _member_type(name: str, hint: Any) -> MemberType:
    notes: tuple[Any, ...] = ()
    is_nullable = is_list = False
    while True:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            hint, notes = args[0], (*notes, *args[1:])
        elif origin in (types.UnionType, typing.Union):
            is_nullable = True
            (hint,) = [arg for arg in args if arg is not type(None)]
        elif origin is list:
            is_list, (hint,) = True, args
        else:
            hint = origin or hint  # a map is its class, whatever is in it: text, by the contract
            break
    member = next((note for note in notes if isinstance(note, Member)), None)
    clr = next((note.name for note in notes if isinstance(note, Clr)), _CLR_NAMES.get(hint, hint.__name__))
    return MemberType(name, pascal_case(name), hint, clr, is_list, is_nullable, member)


_CLR_NAMES: dict[Any, str] = {str: "String", bool: "Boolean", float: "Double", int: "Int64"}


def pascal_case(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


@dataclass(frozen=True, slots=True)
class Route:
    """A path of an operation's own. Variables stand in braces by wire name: `/apikeys/{Id}`."""

    verb: str
    path: str
    summary: str
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked of the service. Its name is that of its request type.

    `api_verbs` are the verbs that `/api/{Op}` takes (None: any). `roles`: any one of them is needed; empty: none is.
    `list_member`: a body that is an array, or JSON Lines, fills this member. `is_keyed`: with an Idempotency-Key a
    retry is safe.
    """

    request: type[Request]
    response: type[Response] | None
    routes: tuple[Route, ...]
    api_verbs: frozenset[str] | None
    roles: tuple[str, ...] = ()
    implements: tuple[str, ...] = ()
    list_member: str | None = None
    tags: tuple[str, ...] = ()
    is_keyed: bool = False

    @property
    def name(self) -> str:
        return self.request.__name__
