"""Zig structs for `std.json`, which reads and writes members by their names: so those are the wire's, keywords quoted.

What a request returns is its `Response`. Interfaces of the contract are left out: Zig has none.
"""

from typing import Final

from kvot.metadata.comment import in_line
from kvot.metadata.model import BUILT_IN, Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, quoted, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True", "AddImplicitVersion": ""}

_SCALARS: Final = {
    "String": "[]const u8",
    "Guid": "[]const u8",
    "Int32": "i32",
    "Int64": "i64",
    "Boolean": "bool",
    "Double": "f64",
    "DateTime": "[]const u8",
}
_DEFAULTS: Final = {"[]const u8": '""', "i32": "0", "i64": "0", "bool": "false", "f64": "0"}
_CLIENT: Final = "servicestack"
"""The module that has what the client brings along, for those who leave it out here."""

_KEYWORDS: Final = frozenset(
    {
        *("addrspace", "align", "allowzero", "and", "anyframe", "anytype", "asm", "async", "await", "break"),
        *("callconv", "catch", "comptime", "const", "continue", "defer", "else", "enum", "errdefer", "error", "export"),
        *("extern", "fn", "for", "if", "inline", "linksection", "noalias", "noinline", "nosuspend", "opaque", "or"),
        *("orelse", "packed", "pub", "resume", "return", "struct", "suspend", "switch", "test", "threadlocal", "try"),
        *("union", "unreachable", "usingnamespace", "var", "volatile", "while"),
    }
)


def source(model: Model, options: Options) -> str:
    imports = ['const std = @import("std");']
    if not options.on("AddServiceStackTypes"):
        named = dict.fromkeys(name for dto in model.dtos for name in dto.references)
        brought = [name for name in named if name in BUILT_IN]
        imports += [f'const {name} = @import("{_CLIENT}").{name};' for name in brought]
    structs = [dto for dto in model.dtos if not dto.is_interface]
    return document([*imports, "", *spaced(map(_type, structs))])


def _type(dto: Dto) -> list[str]:
    body = [*map(_member, dto.members), _operation(dto)]
    return [
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
        f"pub const {dto.name} = struct {{",
        *indented(spaced(block for block in body if block), 4),
        "};",
    ]


def _member(member: DtoMember) -> list[str]:
    name = f'@"{member.json_name}"' if member.json_name in _KEYWORDS else member.json_name
    hint, default = _hint(member)
    return [
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in member.attributes),
        *([f"/// {in_line(member.description)}"] if member.description else []),
        f"{name}: {hint} = {default},",
    ]


def _hint(member: DtoMember) -> tuple[str, str]:
    """The type and the default. `std.json` asks for every member that has none."""
    scalar = _SCALARS.get(member.clr, member.clr)
    hint, default = scalar, _DEFAULTS.get(scalar)
    if member.initial is not None:
        default = str(member.initial)
    if member.is_list:
        hint, default = f"[]const {scalar}", "&.{}"
    elif member.is_map:
        hint, default = f"std.json.ArrayHashMap({scalar})", ".{}"
    return (f"?{hint}", "null") if member.is_optional or default is None else (hint, default)


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = [f"pub const Response = {dto.operation.returns or 'void'};"] if dto.operation.has_marker else []
    return [
        *returned,
        f"pub fn getTypeName(_: @This()) []const u8 {{ return {quoted(dto.name)}; }}",
        f"pub fn getMethod(_: @This()) []const u8 {{ return {quoted(dto.operation.verb)}; }}",
    ]
