"""What the options do to the model before a language sees it: which types it keeps, and how they change."""

from dataclasses import replace
from typing import Final

from kvot.contract.status import ResponseStatus
from kvot.metadata.model import BUILT_IN, Attribute, Dto, DtoMember, Model, json_name_of
from kvot.metadata.options import Options

_SERVICES, _TYPES = "services", "types"
_STATUS: Final = ResponseStatus.__name__
_GENERATOR: Final = "AddServiceStackReference"
"""What .NET is told has made a class: the name by which people know this way of making them."""


def applied(model: Model, options: Options) -> Model:
    """The model as `/types/{lang}` writes it under these options."""
    names = _included(model, options) - _excluded(model, options)
    if not options.on("AddServiceStackTypes"):
        names -= BUILT_IN
    returned = {dto.operation.returns for dto in model.dtos if dto.operation}
    chosen = model.where(lambda dto: dto.name in names)
    return chosen.mapped(lambda dto: _changed(dto, model, options, dto.name in returned))


def _included(model: Model, options: Options) -> frozenset[str]:
    entries = options.names("IncludeTypes")
    if not entries:
        return frozenset(dto.name for dto in model.dtos)
    return frozenset[str]().union(*(_meant_by(model, entry) for entry in entries))


def _meant_by(model: Model, entry: str) -> frozenset[str]:
    if entry.startswith("{"):
        return _tagged(model, frozenset(entry.partition("}")[0].strip("{").split(",")))
    if entry.endswith("/*"):
        here = model.host.dto_namespace
        return frozenset(dto.name for dto in model.dtos if f"{here}.".startswith(f"{entry[:-2]}."))
    if entry.startswith("*."):
        return frozenset(dto.name for dto in model.dtos if entry[2:] in dto.references)
    if entry.endswith(".*"):
        return model.reached_from([entry[:-2]])
    return frozenset({entry})


def _tagged(model: Model, tags: frozenset[str]) -> frozenset[str]:
    return model.reached_from(
        dto.name for dto in model.dtos if dto.operation is not None and tags.intersection(dto.operation.tags)
    )


def _excluded(model: Model, options: Options) -> frozenset[str]:
    entries = options.names("ExcludeTypes")
    excluded = set(entries)
    if _SERVICES in entries:
        excluded.update(dto.name for dto in model.dtos if dto.is_request)
    if _TYPES in entries:
        excluded.update(dto.name for dto in model.dtos if not dto.is_request)
    return frozenset(excluded)


def _changed(dto: Dto, model: Model, options: Options, is_response: bool) -> Dto:
    operation = dto.operation
    if operation is not None and not options.on("AddReturnMarker"):
        operation = replace(operation, has_marker=False)
    members = tuple(_member(member, options) for member in dto.members)
    version, status = _version(dto, model, options), _status(dto, model, options) if is_response else ()
    changed = replace(dto, members=(*version, *members, *status), operation=operation)
    return changed if dto.is_interface else _attributed(changed, model, options)


def _version(dto: Dto, model: Model, options: Options) -> tuple[DtoMember, ...]:
    """The version of the classes, which every request then carries."""
    text = options.text("AddImplicitVersion")
    if not text or not dto.is_request or any(member.name == "Version" for member in dto.members):
        return ()
    return (DtoMember("Version", "version", json_name_of("Version", model.json_case), "Int32", initial=int(text)),)


def _status(dto: Dto, model: Model, options: Options) -> tuple[DtoMember, ...]:
    if not options.on("AddResponseStatus") or any(member.clr == _STATUS for member in dto.members):
        return ()
    return (DtoMember(_STATUS, "response_status", json_name_of(_STATUS, model.json_case), _STATUS),)


def _attributed(dto: Dto, model: Model, options: Options) -> Dto:
    """With the attributes of .NET's serializers and tools, which only its languages offer."""
    attributes = dto.attributes
    if options.on("AddGeneratedCodeAttributes"):
        version = model.host.generator_version
        attributes = (*attributes, Attribute("GeneratedCode", (("", _GENERATOR), ("", version))))
    if not options.on("AddDataContractAttributes"):
        return replace(dto, attributes=attributes)
    has_order = options.on("AddIndexesToDataMembers")
    members = (
        replace(
            member,
            attributes=(Attribute("DataMember", (("Order", order),) if has_order else ()), *member.attributes),
        )
        for order, member in enumerate(dto.members, start=1)
    )
    return replace(dto, attributes=(*attributes, Attribute("DataContract", ())), members=tuple(members))


def _member(member: DtoMember, options: Options) -> DtoMember:
    if member.clr in options.names("TreatTypesAsStrings"):
        member = replace(member, clr="String")
    if options.on("MakePropertiesOptional"):
        member = replace(member, is_optional=True)
    if not options.on("AddDescriptionAsComments"):
        member = replace(member, description=None)
    return member
