"""VB.NET classes for ServiceStack.Client."""

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
    "InitializeCollections": "False",
}

_EXTENSIBLE: Final = "IExtensibleDataObject"
_SCALARS: Final = {"Int32": "Integer", "Int64": "Long", "DateTime": "Date"}
_RESERVED: Final = frozenset(
    {
        *("alias", "call", "case", "class", "const", "date", "decimal", "default", "delegate", "dim", "do", "each"),
        *("else", "end", "enum", "error", "event", "exit", "finally", "for", "friend", "function", "get", "global"),
        *("handles", "if", "in", "inherits", "interface", "is", "let", "like", "long", "loop", "me", "mod", "module"),
        *("namespace", "new", "next", "not", "nothing", "object", "of", "on", "operator", "option", "or", "property"),
        *("public", "select", "set", "shared", "short", "single", "static", "step", "stop", "string", "structure"),
        *("sub", "then", "throw", "to", "true", "try", "until", "variant", "when", "while", "with"),
    }
)
"""Words that a member can only bear in brackets."""


def source(model: Model, options: Options) -> str:
    namespace = options.text("GlobalNamespace") or model.host.dto_namespace
    imports = [f"Imports {name}" for name in dotnet.opened(options, model.host.dto_namespace)]
    of_assembly = [f"<Assembly: {_text(each)}>" for each in dotnet.contract_namespace(options, namespace)]
    types = spaced(_type(dto, options) for dto in model.alphabetical().dtos)
    if not options.on("ExcludeNamespace"):
        inner = [f"Namespace {namespace}", "", *indented(types, 4), "End Namespace"]
        types = ["Namespace Global", "", *indented(inner, 4), "End Namespace"]
    return document([*imports, "", *([*of_assembly, ""] if of_assembly else []), *types])


def _type(dto: Dto, options: Options) -> list[str]:
    kind = "Interface" if dto.is_interface else "Class"
    is_extensible = options.on("MakeDataContractsExtensible") and not dto.is_interface
    bases = [*dto.markers("IReturn(Of {})", "IReturnVoid"), *dto.implements, *([_EXTENSIBLE] if is_extensible else [])]
    return [
        *map(_attribute, dto.attributes_with_routes),
        f"{_modifiers(options)}{kind} {dto.name}",
        *(f"    Implements {base}" for base in bases),
        *indented(_members(dto, options), 4),
        *([f"    {_extension_data(options)}"] if is_extensible else []),
        f"End {kind}",
    ]


def _modifiers(options: Options) -> str:
    access = "Friend" if options.on("MakeInternal") else "Public"
    return f"{access} Partial " if options.on("MakePartial") else f"{access} "


def _extension_data(options: Options) -> str:
    implemented = f"Implements {_EXTENSIBLE}.ExtensionData"
    return f"{_access(options)} Property ExtensionData As ExtensionDataObject {implemented}"


def _attribute(attribute: Attribute) -> str:
    return f"<{_text(attribute)}>"


def _text(attribute: Attribute) -> str:
    return attribute_text(attribute, equals=":=", quote=_quoted)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _members(dto: Dto, options: Options) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        lines += _member(member, dto, options)
        if (member.description or member.attributes) and member is not dto.members[-1]:
            lines.append("")
    return lines


def _member(member: DtoMember, dto: Dto, options: Options) -> list[str]:
    described = ["'''<Summary>", f"'''{member.description}", "'''</Summary>"] if member.description else []
    name = f"[{member.json_name}]" if member.json_name.lower() in _RESERVED else member.json_name
    declared = f"Property {name} As {_type_name(member, dto, options)}"
    if dto.is_interface:
        return [*described, declared]
    initial = "" if member.initial is None else f" = {member.initial}"
    line = f"{_access(options)} {declared}{initial}{_implemented(member, dto)}"
    return [*described, *map(_attribute, member.attributes), line]


def _access(options: Options) -> str:
    return "Public Overridable" if options.on("MakeVirtual") else "Public"


def _implemented(member: DtoMember, dto: Dto) -> str:
    """VB says at the member which member of an interface it is. The interfaces of the contract have one: CompanyId."""
    is_company = member.name == "CompanyId" and "ICompany" in dto.implements
    return f" Implements ICompany.{member.json_name}" if is_company else ""


def _type_name(member: DtoMember, dto: Dto, options: Options) -> str:
    scalar = _SCALARS.get(member.clr, member.clr)
    if member.is_list:
        creates = options.on("InitializeCollections") and not (member.is_optional or dto.is_interface)
        return f"New List(Of {scalar})" if creates else f"List(Of {scalar})"
    if member.is_map:
        return f"Dictionary(Of String, {scalar})"
    return f"{scalar}?" if member.is_optional and member.is_value_type else scalar
