"""The tables of an operation page that say what its types are made of."""

from dataclasses import dataclass
from typing import Final

from kvot.contract.describe import Operation
from kvot.metadata.model import BUILT_IN, Dto, DtoMember, Model, route_of

_QUERY_VERBS: Final = frozenset({"GET", "DELETE"})


@dataclass(frozen=True, slots=True)
class ParameterRow:
    name: str
    parameter: str  # query, path, body, form
    data_type: str
    required: str  # Yes, No
    description: str


@dataclass(frozen=True, slots=True)
class ParameterTable:
    name: str
    rows: tuple[ParameterRow, ...]


def parameter_tables(operation: Operation, model: Model, has_json_names: bool) -> list[ParameterTable]:
    """The request, the types it refers to, the response, the types that one refers to."""
    names = [operation.name, *_referred(model, operation.name)]
    if operation.response is not None:
        response = operation.response.__name__
        names += [response, *_referred(model, response)]
    dtos = [dto for name in dict.fromkeys(names) if (dto := model.named(name))]
    return [ParameterTable(dto.name, _rows(dto, operation, has_json_names)) for dto in dtos]


def _referred(model: Model, name: str) -> list[str]:
    """Types of members, at any distance, as they are met."""
    dto = model.named(name)
    found: list[str] = []
    for member in dto.members if dto else ():
        if model.named(member.clr) and member.clr not in BUILT_IN:
            found += [member.clr, *_referred(model, member.clr)]
    return found


def _rows(dto: Dto, operation: Operation, has_json_names: bool) -> tuple[ParameterRow, ...]:
    return tuple(
        ParameterRow(
            name=member.json_name if has_json_names else member.name,
            parameter=_stated_place(member) or _place(member, dto, operation),
            data_type=(member.source.data_type if member.source else None) or member.csharp_type,
            required="Yes" if is_required(member) else "No",
            description=member.description or "",
        )
        for member in dto.members
    )


def is_required(member: DtoMember) -> bool:
    """As pages say it: stated so, or a reference that may not be null. A number always has a value of its own."""
    stated = member.source is not None and member.source.is_required
    return stated or not (member.is_value_type or member.is_optional)


def parameter_place(member: DtoMember, operation: Operation) -> str:
    """Where a member of the request goes: as stated, else as the route has it."""
    stated = _stated_place(member)
    if stated is not None:
        return stated
    route = route_of(operation)
    if f"{{{member.name}}}" in route.path:
        return "path"
    return "query" if route.verb in _QUERY_VERBS else "body"


def _place(member: DtoMember, dto: Dto, operation: Operation) -> str:
    return parameter_place(member, operation) if dto.name == operation.name else "form"


def _stated_place(member: DtoMember) -> str | None:
    return member.source.parameter_type if member.source else None
