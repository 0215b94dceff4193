"""C# classes for ServiceStack.Client."""

from typing import Final

from kvot.metadata import dotnet
from kvot.metadata.model import Attribute, Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {
    **dotnet.OPTIONS,
    "MakePartial": "True",
    "MakeVirtual": "True",
    "MakeInternal": "False",
    "InitializeCollections": "True",
    "AddNullableAnnotations": "True",
}

_EXTENSIBLE: Final = "IExtensibleDataObject"


def source(model: Model, options: Options) -> str:
    namespace = options.text("GlobalNamespace") or model.host.dto_namespace
    of_assembly = [f"[assembly: {attribute_text(each)}]" for each in dotnet.contract_namespace(options, namespace)]
    usings = [f"using {name};" for name in dotnet.opened(options, model.host.dto_namespace)]
    types = spaced(_type(dto, options) for dto in model.alphabetical().dtos)
    if not options.on("ExcludeNamespace"):
        types = [f"namespace {namespace}", "{", *indented(types, 4), "}"]
    return document([*usings, "", *([*of_assembly, ""] if of_assembly else []), *types])


def _type(dto: Dto, options: Options) -> list[str]:
    is_extensible = options.on("MakeDataContractsExtensible") and not dto.is_interface
    extensible = [_EXTENSIBLE] if is_extensible else []
    bases = ", ".join([*dto.markers("IReturn<{}>", "IReturnVoid"), *dto.implements, *extensible])
    return [
        *map(_attribute, dto.attributes_with_routes),
        f"{_modifiers(options)}{'interface' if dto.is_interface else 'class'} {dto.name}",
        *([f"    : {bases}"] if bases else []),
        "{",
        *indented(_members(dto, options), 4),
        *([f"    {_access(options)} ExtensionDataObject ExtensionData {{ get; set; }}"] if is_extensible else []),
        "}",
    ]


def _modifiers(options: Options) -> str:
    access = "internal" if options.on("MakeInternal") else "public"
    return f"{access} partial " if options.on("MakePartial") else f"{access} "


def _attribute(attribute: Attribute) -> str:
    return f"[{attribute_text(attribute, positional=attribute.name == 'ValidateRequest')}]"


def _members(dto: Dto, options: Options) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        lines += _member(member, dto, options)
        if (member.description or member.attributes) and member is not dto.members[-1]:
            lines.append("")
    return lines


def _member(member: DtoMember, dto: Dto, options: Options) -> list[str]:
    described = ["///<summary>", f"///{member.description}", "///</summary>"] if member.description else []
    declared = f"{_type_name(member, options)} {member.json_name} {{ get; set; }}"
    if dto.is_interface:
        return [*described, declared]
    starts_empty = member.is_list and not member.is_optional and options.on("InitializeCollections")
    initial = " = [];" if starts_empty else "" if member.initial is None else f" = {member.initial};"
    return [
        *described,
        *map(_attribute, member.attributes),
        f"{_access(options)} {declared}{initial}",
    ]


def _access(options: Options) -> str:
    return "public virtual" if options.on("MakeVirtual") else "public"


def _type_name(member: DtoMember, options: Options) -> str:
    may_be_null = member.is_optional and not member.is_value_type and options.on("AddNullableAnnotations")
    return f"{member.csharp_type}?" if may_be_null else member.csharp_type
