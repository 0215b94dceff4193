"""F# classes for ServiceStack.Client.

Interfaces of the contract are left out: F# would have each member of theirs written twice.
"""

from typing import Final

from kvot.metadata.model import Attribute, Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {"InitializeCollections": "True", "GlobalNamespace": "", "AddNamespaces": ""}

_OPENS: Final = (
    "System",
    "System.IO",
    "System.Collections",
    "System.Collections.Generic",
    "System.Runtime.Serialization",
    "ServiceStack",
    "ServiceStack.DataAnnotations",
)


def source(model: Model, options: Options) -> str:
    namespace = options.text("GlobalNamespace") or model.host.dto_namespace
    opens = (*_OPENS, *options.names("AddNamespaces"))
    types = spaced(_type(dto, options) for dto in model.dtos if not dto.is_interface)
    return document([f"namespace {namespace}", "", *(f"open {name}" for name in opens), "", *indented(types, 4)])


def _type(dto: Dto, options: Options) -> list[str]:
    return [
        *map(_attribute, dto.attributes_with_routes),
        "[<AllowNullLiteral>]",
        f"type {dto.name}() = ",
        *(f"    interface {marker}" for marker in dto.markers("IReturn<{}>", "IReturnVoid")),
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
    return hint, f"new {hint}()"
