"""Rust structs for serde. Every member says its wire name, so that a keyword may have another one in Rust.

The traits that tell what a request returns stand in the file itself: the published client is young and changes its own.
Interfaces of the contract are left out: a trait cannot ask for a member.
"""

from typing import Final

from kvot.metadata.comment import in_line
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, quoted, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True"}

_DERIVED: Final = "#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]"
_REQUEST_FUNCTIONS: Final = ("    fn type_name(&self) -> &'static str;", "    fn method(&self) -> &'static str;")
_TRAITS: Final = {
    "IReturn": ["pub trait IReturn {", "    type Response;", *_REQUEST_FUNCTIONS, "}"],
    "IReturnVoid": ["pub trait IReturnVoid {", *_REQUEST_FUNCTIONS, "}"],
}
_SCALARS: Final = {
    "String": "String",
    "Guid": "String",
    "Int32": "i32",
    "Int64": "i64",
    "Boolean": "bool",
    "Double": "f64",
    "DateTime": "String",
}
_KEYWORDS: Final = frozenset(
    {
        *("as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn", "for"),
        *("gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static"),
        *("struct", "trait", "true", "type", "unsafe", "use", "where", "while"),
        *("abstract", "become", "box", "do", "final", "macro", "override", "priv", "try", "typeof", "unsized"),
        *("virtual", "yield"),
    }
)
_NEVER: Final = frozenset({"crate", "self", "Self", "super"})
"""Keywords that not even `r#` makes names."""

_TAKEN_TYPES: Final = frozenset(
    {
        *("String", "Option", "Vec", "HashMap", "Debug", "Clone", "Default", "PartialEq", "Serialize", "Deserialize"),
        *("Self", "IReturn", "IReturnVoid"),
    }
)


def source(model: Model, options: Options) -> str:
    structs = [dto for dto in model.dtos if not dto.is_interface]
    blocks = [*_markers(structs, options), *map(_type, structs)]
    return document([*_uses(structs, options), "", *spaced(blocks)])


def _uses(structs: list[Dto], options: Options) -> list[str]:
    has_maps = any(member.is_map for dto in structs for member in dto.members)
    return [
        "use serde::{Deserialize, Serialize};",
        *(["use std::collections::HashMap;"] if has_maps else []),
        *([] if options.on("AddServiceStackTypes") else ["use servicestack::*;"]),
    ]


def _markers(structs: list[Dto], options: Options) -> list[list[str]]:
    if not options.on("AddServiceStackTypes"):
        return []
    used = {marker for dto in structs for marker in dto.markers("IReturn", "IReturnVoid")}
    return [lines for name, lines in _TRAITS.items() if name in used]


def _type(dto: Dto) -> list[str]:
    name = _type_name(dto.name)
    members = indented(_members(dto), 4)
    return [
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
        _DERIVED,
        "#[serde(default)]",
        *([f"pub struct {name} {{", *members, "}"] if members else [f"pub struct {name} {{}}"]),
        *_operation(dto, name),
    ]


def _members(dto: Dto) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        lines += _member(member)
        if (member.description or member.attributes) and member is not dto.members[-1]:
            lines.append("")
    return lines


def _member(member: DtoMember) -> list[str]:
    hint = _hint(member)
    skipped = ', skip_serializing_if = "Option::is_none"' if hint.startswith("Option<") else ""
    return [
        *([f"/// {in_line(member.description)}"] if member.description else []),
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in member.attributes),
        f"#[serde(rename = {quoted(member.json_name)}{skipped})]",
        f"pub {_name(member)}: {hint},",
    ]


def _hint(member: DtoMember) -> str:
    hint = _SCALARS.get(member.clr) or _type_name(member.clr)
    if member.is_list:
        hint = f"Vec<{hint}>"
    elif member.is_map:
        hint = f"HashMap<String, {hint}>"
    elif member.clr not in _SCALARS:
        return f"Option<{hint}>"  # ResponseStatus above all, which a reply that succeeded lacks.
    return f"Option<{hint}>" if member.is_optional else hint


def _operation(dto: Dto, name: str) -> list[str]:
    if dto.operation is None or not dto.operation.has_marker:
        return []
    (marker,) = dto.markers("IReturn", "IReturnVoid")
    returned = dto.operation.returns
    body = [
        *([f"type Response = {_type_name(returned)};"] if returned else []),
        f"fn type_name(&self) -> &'static str {{ {quoted(dto.name)} }}",
        f"fn method(&self) -> &'static str {{ {quoted(dto.operation.verb)} }}",
    ]
    return ["", f"impl {marker} for {name} {{", *indented(body, 4), "}"]


def _name(member: DtoMember) -> str:
    if member.snake_name in _NEVER:
        return f"{member.snake_name}_"
    return f"r#{member.snake_name}" if member.snake_name in _KEYWORDS else member.snake_name


def _type_name(name: str) -> str:
    return f"{name}_" if name in _TAKEN_TYPES else name
