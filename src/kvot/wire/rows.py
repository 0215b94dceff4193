"""Replies as rows, for the formats that are made of rows: CSV and JSON Lines.

A reply that is nothing but one list, a ResponseStatus aside, gives that list, one item a row. Any other reply is one
row, and so is one whose ResponseStatus says why there is no list. A batch gives one row for each of its replies.
"""

from functools import cache

import msgspec

from kvot.contract.describe import members_of
from kvot.contract.status import ResponseStatus

Reply = msgspec.Struct | list[msgspec.Struct]
"""What a format writes: one response, or those of a batch."""


def rows_of(reply: Reply) -> tuple[type[msgspec.Struct], list[msgspec.Struct]]:
    """The type of the rows, and the rows. Types differ in no batch: it has one operation."""
    if isinstance(reply, list):
        return (type(reply[0]) if reply else msgspec.Struct), reply
    listed = _listed(type(reply))
    if listed is None or getattr(reply, "response_status", None) is not None:  # why there is no list
        return type(reply), [reply]
    name, row_type = listed
    return row_type, getattr(reply, name)


def is_listing(struct: type[msgspec.Struct]) -> bool:
    """Whether a reply of this type stands for a list."""
    return _listed(struct) is not None


@cache
def _listed(struct: type[msgspec.Struct]) -> tuple[str, type[msgspec.Struct]] | None:
    members = [member for member in members_of(struct) if member.scalar is not ResponseStatus]
    if len(members) != 1 or not members[0].is_list or not issubclass(members[0].scalar, msgspec.Struct):
        return None
    return members[0].name, members[0].scalar
