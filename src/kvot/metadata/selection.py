"""What the options do to the model before a language sees it: which types it keeps, and how they change."""

from dataclasses import replace

from kvot.metadata.model import BUILT_IN, Dto, DtoMember, Model
from kvot.metadata.options import Options

_SERVICES, _TYPES = "services", "types"


def applied(model: Model, options: Options) -> Model:
    """The model as `/types/{lang}` writes it under these options."""
    names = _included(model, options) - _excluded(model, options)
    if not options.on("AddServiceStackTypes"):
        names -= BUILT_IN
    return model.where(lambda dto: dto.name in names).mapped(lambda dto: _changed(dto, options))


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


def _changed(dto: Dto, options: Options) -> Dto:
    operation = dto.operation
    if operation is not None and not options.on("AddReturnMarker"):
        operation = replace(operation, has_marker=False)
    return replace(dto, members=tuple(_member(member, options) for member in dto.members), operation=operation)


def _member(member: DtoMember, options: Options) -> DtoMember:
    if member.clr in options.names("TreatTypesAsStrings"):
        member = replace(member, clr="String")
    if options.on("MakePropertiesOptional"):
        member = replace(member, is_optional=True)
    if not options.on("AddDescriptionAsComments"):
        member = replace(member, description=None)
    return member
