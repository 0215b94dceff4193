"""The response type of an operation that failed: its ResponseStatus says why, all other members hold their defaults,
but for what is known of them: a refusal of tokens knows the usage, and zeros in its place would be taken for it.

A client that reads replies into the response type finds the status there. The defaults are those of the contract's
host: zero, false, an empty list; a text or an object is missing. A moment that is none is left out in every format:
people read the first day of the calendar as a date. So is a GUID where missing members are left out; where they are not
it is written as zeros, as the contract has it, since its type cannot be nil.
"""

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import msgspec

from kvot.contract.describe import Instant, MemberType, Response, members_of
from kvot.contract.status import ResponseStatus

NOTHING: Mapping[str, Any] = {}
_ZEROS: dict[str, Any] = {"Int32": 0, "Int64": 0, "Boolean": False}
_DROPPED: dict[str, Any] = {"Guid": str(UUID(int=0)), "DateTime": Instant(-62_135_596_800_000)}
"""No GUID, and the first moment of the calendar, which stands for none."""


def failed(struct: type[Response], status: ResponseStatus, known: Mapping[str, Any] = NOTHING) -> Response:
    """A response of a type that looks like `struct` on the wire. `known`: what is true of its members all the same."""
    type_, zeros = _failed_type(struct)
    true = {name: value for name, value in known.items() if name in struct.__struct_fields__}
    return type_(**zeros() | true, response_status=status)


@cache
def _failed_type(struct: type[Response]) -> tuple[type[Response], typing.Callable[[], dict[str, Any]]]:
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = [_field(member, hints[member.name]) for member in members_of(struct)]
    type_: Any = msgspec.defstruct(struct.__name__, fields, bases=(Response,), kw_only=True)
    required = [member for member in members_of(struct) if _is_required(member)]
    return type_, lambda: {member.name: [] if member.is_list else _ZEROS[member.clr] for member in required}


def _is_required(member: MemberType) -> bool:
    return not member.is_nullable and (member.is_list or member.clr in _ZEROS)


def _field(member: MemberType, hint: Any) -> Any:
    if _is_required(member):
        return member.name, hint
    if member.clr in _DROPPED and not (member.is_nullable or member.is_list):
        return member.name, hint, _DROPPED[member.clr]
    return member.name, hint if member.is_nullable else hint | None, None
