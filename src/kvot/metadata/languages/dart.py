"""Dart classes for the package `servicestack`: members, and how they are read from a map and written to one.

`/types/dart` makes every member optional unless asked otherwise: a member that may not be null needs a value before any
reply has filled it. What Dart, its core library or the client has named already gets `_`; the wire name stands in text.
"""

from typing import Final

from kvot.metadata.comment import in_block, in_line
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, quoted, spaced

OPTIONS: Final = {
    "MakePropertiesOptional": "True",
    "AddImplicitVersion": "",
    "DefaultImports": "package:servicestack/servicestack.dart",
}

_SCALARS: Final = {
    "String": "String",
    "Guid": "String",
    "Int32": "int",
    "Int64": "int",
    "Boolean": "bool",
    "Double": "double",
    "DateTime": "DateTime",
}
_DEFAULTS: Final = {"String": '""', "int": "0", "double": "0.0"}
_AS_THEY_ARE: Final = frozenset({"String", "int", "bool"})
"""Types that JSON has too."""

_KEYWORDS: Final = frozenset(
    {
        *("assert", "async", "await", "break", "case", "catch", "class", "const", "continue", "default", "do", "else"),
        *("enum", "extends", "false", "final", "finally", "for", "if", "in", "is", "new", "null", "rethrow", "return"),
        *("super", "switch", "this", "throw", "true", "try", "var", "void", "while", "with", "yield"),
        *("abstract", "as", "covariant", "deferred", "export", "extension", "external", "factory", "get"),
        *("implements", "import", "interface", "late", "library", "mixin", "operator", "part", "required", "set"),
        *("static", "typedef"),
    }
)
_TAKEN_MEMBERS: Final = _KEYWORDS | {
    *("fromJson", "fromMap", "toJson", "getTypeName", "getResponseTypeName", "createResponse", "context"),
    *("hashCode", "noSuchMethod", "runtimeType", "toString"),
    *("int", "bool", "double", "dynamic", "String", "DateTime", "Map", "List", "TypeContext", "JsonConverters"),
}
_TAKEN_TYPES: Final = _KEYWORDS | {
    *("int", "bool", "double", "dynamic", "String", "DateTime", "Map", "List", "Function", "Object", "Never", "Null"),
    *("IReturn", "IReturnVoid", "IConvertible", "TypeContext", "TypeInfo", "TypeOf", "JsonConverters"),
}


def source(model: Model, options: Options) -> str:
    types = spaced(_interface(dto) if dto.is_interface else _class(dto) for dto in model.dtos)
    imports = (f"import '{name}';" for name in options.names("DefaultImports"))
    return document([*imports, "", *types, "", *_context(model)])


def _interface(dto: Dto) -> list[str]:
    members = (f"{_hint(member)}{_mark(member)} {_name(member)}{_default(member)};" for member in dto.members)
    return [f"abstract class {_type_name(dto.name)}", "{", *indented(members, 4), "}"]


def _class(dto: Dto) -> list[str]:
    name = _type_name(dto.name)
    returns = dto.operation.returns if dto.operation else None
    markers = dto.markers(f"IReturn<{_type_name(returns or '')}>", "IReturnVoid")
    bases = ", ".join([*markers, *map(_type_name, dto.implements), "IConvertible"])
    return [
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
        f"class {name} implements {bases}",
        "{",
        *indented([*_members(dto), *_constructors(dto), "", *_reading(dto), "", *_writing(dto), ""], 4),
        *indented([*_operation(dto), f"getTypeName() => {_quoted(dto.name)};"], 4),
        "    TypeContext? context = _ctx;",
        "}",
    ]


def _members(dto: Dto) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        if member.description:
            lines += ["/**", f"* {in_block(member.description)}", "*/"]
        lines += [f"// @{in_line(attribute_text(attribute))}" for attribute in member.attributes]
        lines.append(f"{_hint(member)}{_mark(member)} {_name(member)}{_default(member)};")
        if member.description or member.attributes or member is dto.members[-1]:
            lines.append("")
    return lines


def _constructors(dto: Dto) -> list[str]:
    name = _type_name(dto.name)
    given = ",".join(
        f"this.{_name(member)}{'' if member.initial is None else f'={member.initial}'}" for member in dto.members
    )
    return [
        f"{name}({{{given}}});" if given else f"{name}();",
        f"{name}.fromJson(Map<String, dynamic> json) {{ fromMap(json); }}",
    ]


def _reading(dto: Dto) -> list[str]:
    reads = (f"    {_name(member)} = {_read(member)};" for member in dto.members)
    return ["fromMap(Map<String, dynamic> json) {", *reads, "    return this;", "}"]


def _read(member: DtoMember) -> str:
    value, hint = f"json[{_key(member)}]", _hint(member)
    if hint in _AS_THEY_ARE:
        return value
    if hint == "double":
        return f"JsonConverters.toDouble({value})"
    return f"JsonConverters.fromJson({value},'{hint}',context!)"


def _writing(dto: Dto) -> list[str]:
    if not dto.members:
        return ["Map<String, dynamic> toJson() => {};"]
    writes = [f"    {_key(member)}: {_written(member)}" for member in dto.members]
    return ["Map<String, dynamic> toJson() => {", *",\n".join(writes).split("\n"), "};"]


def _written(member: DtoMember) -> str:
    name, hint = _name(member), _hint(member)
    if hint in _AS_THEY_ARE or hint == "double":
        return name
    return f"JsonConverters.toJson({name},'{hint}',context!)"


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None or not dto.operation.has_marker:
        return []
    if dto.operation.returns is None:
        return ["createResponse() {}"]
    returned = _type_name(dto.operation.returns)
    return [f"createResponse() => {returned}();", f"getResponseTypeName() => {_quoted(dto.operation.returns)};"]


def _context(model: Model) -> list[str]:
    """What the client makes of a type's name. Lists and maps count as types of their own."""
    entries = [_entry(dto) for dto in model.dtos]
    collections = {_hint(m): m.is_list for dto in model.dtos for m in dto.members if m.is_list or m.is_map}
    for hint, is_list in collections.items():
        empty = f"<{hint[5:-1]}>[]" if is_list else f"<{hint[4:-1]}>{{}}"
        entries.append(f"'{hint}': TypeInfo(TypeOf.Class, create:() => {empty}),")
    opening = (
        f"TypeContext _ctx = TypeContext(library: {_quoted(model.host.service_name)}, types: <String, TypeInfo> {{"
    )
    return [opening, *indented(entries, 4), "});"]


def _entry(dto: Dto) -> str:
    name = _type_name(dto.name)
    if dto.is_interface:
        return f"'{name}': TypeInfo(TypeOf.Interface),"
    return f"'{name}': TypeInfo(TypeOf.Class, create:() => {name}()),"


def _hint(member: DtoMember) -> str:
    scalar = _SCALARS.get(member.clr) or _type_name(member.clr)
    if member.is_list:
        return f"List<{scalar}>"
    return f"Map<String,{scalar}>" if member.is_map else scalar


def _mark(member: DtoMember) -> str:
    return "?" if member.is_optional else ""


def _default(member: DtoMember) -> str:
    if member.initial is not None:
        return f" = {member.initial}"
    if member.is_optional:
        return ""
    if member.is_list or member.is_map:
        return " = []" if member.is_list else " = {}"
    default = _DEFAULTS.get(_hint(member))
    return f" = {default}" if default else ""


def _key(member: DtoMember) -> str:
    return f"'{member.json_name}'"


def _quoted(text: str) -> str:
    """A dollar sign would begin an interpolation."""
    return quoted(text).replace("$", "\\$")


def _name(member: DtoMember) -> str:
    return f"{member.json_name}_" if member.json_name in _TAKEN_MEMBERS else member.json_name


def _type_name(name: str) -> str:
    return f"{name}_" if name in _TAKEN_TYPES else name
