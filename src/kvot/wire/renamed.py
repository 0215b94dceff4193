"""The contract's types under other names: what lets msgspec write PascalCase and snake_case as fast as camelCase.

A host that writes PascalCase does so for every reply, so it should not pay for a dictionary each time.
"""

from functools import cache
from typing import Any

import msgspec

from kvot.contract.describe import MemberType, members_of
from kvot.wire.rows import Reply
from kvot.wire.style import JsonCase


def renamed(reply: Reply, case: JsonCase) -> Any:
    """The same values in a type, or types, whose members have their names in `case`."""
    if isinstance(reply, list):
        return [renamed(each, case) for each in reply]
    return msgspec.convert(reply, _renamed_type(type(reply), case), from_attributes=True)


@cache
def _renamed_type(struct: type[msgspec.Struct], case: JsonCase) -> type[msgspec.Struct]:
    members = zip(members_of(struct), msgspec.structs.fields(struct), strict=True)
    fields = [(member.name, _hint(member, field.type, case), *_default(field)) for member, field in members]
    names = {member.name: member.wire_name if case is JsonCase.PASCAL else member.name for member in members_of(struct)}
    return msgspec.defstruct(struct.__name__, fields, rename=names, kw_only=True, omit_defaults=True)


def _default(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    return () if field.default is msgspec.NODEFAULT else (field.default,)


def _hint(member: MemberType, hint: Any, case: JsonCase) -> Any:
    if not issubclass(member.scalar, msgspec.Struct):
        return hint
    nested: Any = _renamed_type(member.scalar, case)
    nested = list[nested] if member.is_list else nested
    return nested | None if member.is_nullable else nested
