"""F# classes for ServiceStack.Client.

Interfaces of the contract are left out: F# would have each member of theirs written twice.
"""

from typing import Final

from kvot.metadata import dotnet
from kvot.metadata.model import Attribute, Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {**dotnet.OPTIONS, "InitializeCollections": "True"}

_EXTENSIBLE: Final = [
    "interface IExtensibleDataObject with",
    "    member val ExtensionData:ExtensionDataObject = null with get,set",
]


def source(model: Model, options: Options) -> str:
    namespace = options.text("GlobalNamespace") or model.host.dto_namespace
    opens = [f"open {name}" for name in dotnet.opened(options)]
    of_assembly = [f"[<assembly: {attribute_text(each)}>]" for each in dotnet.contract_namespace(options, namespace)]
    types = spaced(_type(dto, options) for dto in model.dtos if not dto.is_interface)
    if of_assembly:  # They stand before an expression that does nothing.
        types = [*of_assembly, "do()", "", *types]
    if options.on("ExcludeNamespace"):
        return document([*opens, "", *types])
    return document([f"namespace {namespace}", "", *opens, "", *indented(types, 4)])


def _type(dto: Dto, options: Options) -> list[str]:
    return [
        *map(_attribute, dto.attributes_with_routes),
        "[<AllowNullLiteral>]",
        f"type {dto.name}() = ",
        *(f"    interface {marker}" for marker in dto.markers("IReturn<{}>", "IReturnVoid")),
        *indented(_EXTENSIBLE if options.on("MakeDataContractsExtensible") else [], 4),
        *indented(_members(dto, options), 4),
    ]


def _attribute(attribute: Attribute) -> str:
    return f"[<{attribute_text(attribute)}>]"


def _members(dto: Dto, options: Options) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        hint, default = _hint(member, options)
        if member.description:
            lines += ["///<summary>", f"///{member.description}", "///</summary>"]
        lines += map(_attribute, member.attributes)
        lines.append(f"member val {member.json_name}:{hint} = {default} with get,set")
        if (member.description or member.attributes) and member is not dto.members[-1]:
            lines.append("")
    return lines


def _hint(member: DtoMember, options: Options) -> tuple[str, str]:
    if member.is_list or member.is_map:
        hint = f"List<{member.clr}>" if member.is_list else f"Dictionary<String, {member.clr}>"
        starts_empty = not member.is_optional and options.on("InitializeCollections")
        return hint, f"new {hint}()" if starts_empty else "null"
    if not member.is_value_type:
        return member.clr, "null"
    hint = f"Nullable<{member.clr}>" if member.is_optional else member.clr
    return hint, f"new {hint}()" if member.initial is None else str(member.initial)
