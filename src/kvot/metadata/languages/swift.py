"""Swift classes for the package ServiceStack: Codable, with members in camelCase whatever the host writes.

`/types/swift` makes every member optional unless asked otherwise, because a class with `init(){}` must have a value for
each. A keyword stands in backticks; `description` becomes `Description`, for NSObject has it. A type of the contract
that hides one of Swift's leaves its name alone, for the client sends it; Swift's is then named in full.
"""

from typing import Final

from kvot.metadata.comment import in_block, in_line
from kvot.metadata.model import Dto, DtoMember, Model, camel_case
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, quoted, spaced

OPTIONS: Final = {
    "MakePropertiesOptional": "True",
    "AddImplicitVersion": "",
    "BaseClass": "",
    "DefaultImports": "Foundation,ServiceStack",
}

_SCALARS: Final = {
    "String": "String",
    "Guid": "String",
    "Int32": "Int",
    "Int64": "Int",
    "Boolean": "Bool",
    "Double": "Double",
    "DateTime": "Date",
}
_MODULES: Final = {
    **dict.fromkeys(("String", "Int", "Bool", "Double", "Codable", "CodingKey"), "Swift"),
    "Date": "Foundation",
    **dict.fromkeys(("IReturn", "IReturnVoid"), "ServiceStack"),
}
"""Names that generated classes use, and where they come from."""

_KEYWORDS: Final = frozenset(
    {
        *("associatedtype", "class", "deinit", "enum", "extension", "fileprivate", "func", "import", "init", "inout"),
        *("internal", "let", "open", "operator", "private", "precedencegroup", "protocol", "public", "rethrows"),
        *("static", "struct", "subscript", "typealias", "var", "break", "case", "catch", "continue", "default"),
        *("defer", "do", "else", "fallthrough", "for", "guard", "if", "in", "repeat", "return", "throw", "switch"),
        *("where", "while", "Any", "as", "await", "false", "is", "nil", "self", "Self", "super", "throws", "true"),
        *("try", "Type", "Protocol"),
    }
)
_RENAMED: Final = {"description": "Description"}


def source(model: Model, options: Options) -> str:
    writer = _Writer(frozenset(dto.name for dto in model.dtos), options.text("BaseClass"))
    types = (writer.type(dto) for dto in model.requests_first().dtos)
    return document([*(f"import {name}" for name in options.names("DefaultImports")), "", *spaced(types)])


class _Writer:
    """Writes types beside others: `declared` are the names of all of them. `base`: a Codable class that all have."""

    def __init__(self, declared: frozenset[str], base: str) -> None:
        self._declared = declared
        self._base = base

    def type(self, dto: Dto) -> list[str]:
        if dto.is_interface:
            body = indented((f"{self._variable(member)} {{ get set }}" for member in dto.members), 4)
            return [f"public protocol {_safe(dto.name)}", "{", *body, "}"]
        markers = dto.markers(self._known("IReturn"), self._known("IReturnVoid"))
        bases = [*([self._base] if self._base else []), *markers, *dto.implements]
        codable = [] if self._base else [self._known("Codable")]
        init = self._coding(dto) if self._base else ["required public init(){}"]
        return [
            *(f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
            f"public class {_safe(dto.name)} : {', '.join([*bases, *codable])}",
            "{",
            *indented([*self._returned(dto), *self._members(dto), *self._coding_keys(dto), *init], 4),
            "}",
        ]

    def _returned(self, dto: Dto) -> list[str]:
        if dto.operation is None or not dto.operation.has_marker or dto.operation.returns is None:
            return []
        return [f"public typealias Return = {_safe(dto.operation.returns)}", ""]

    def _members(self, dto: Dto) -> list[str]:
        lines: list[str] = []
        for member in dto.members:
            if member.description:
                lines += ["/**", f"* {in_block(member.description)}", "*/"]
            lines += [f"// @{in_line(attribute_text(attribute))}" for attribute in member.attributes]
            lines.append(f"public {self._variable(member)}{_empty(member)}")
            if member.description or member.attributes or member is dto.members[-1]:
                lines.append("")
        return lines

    def _variable(self, member: DtoMember) -> str:
        return f"var {_name(member)}:{self._hint(member)}{'?' if member.is_optional else ''}"

    def _hint(self, member: DtoMember) -> str:
        scalar = self._known(_SCALARS[member.clr]) if member.clr in _SCALARS else _safe(member.clr)
        if member.is_list:
            return f"[{scalar}]"
        return f"[{self._known('String')}:{scalar}]" if member.is_map else scalar

    def _coding_keys(self, dto: Dto) -> list[str]:
        """Swift makes them up from the members' names, unless one of those is not the wire's."""
        has_own_names = any(_wire_name(member) in _RENAMED for member in dto.members)
        if not dto.members or not (has_own_names or self._base):
            return []
        keys = (f"    case {_name(member)} = {quoted(_wire_name(member))}" for member in dto.members)
        return [f"enum CodingKeys: {self._known('String')}, {self._known('CodingKey')}", "{", *keys, "}", ""]

    def _coding(self, dto: Dto) -> list[str]:
        """A class whose base is Codable codes its own members by hand, or they would be left out."""
        has_members = bool(dto.members)
        reading = "    let container = try decoder.container(keyedBy: CodingKeys.self)"
        writing = "    var container = encoder.container(keyedBy: CodingKeys.self)"
        return [
            "required public init(){ super.init() }",
            "",
            "required public init(from decoder: Decoder) throws {",
            "    try super.init(from: decoder)",
            *([reading, *map(self._read, dto.members)] if has_members else []),
            "}",
            "",
            "public override func encode(to encoder: Encoder) throws {",
            "    try super.encode(to: encoder)",
            *([writing, *map(_write, dto.members)] if has_members else []),
            "}",
        ]

    def _read(self, member: DtoMember) -> str:
        name = _name(member)
        otherwise = "" if member.is_optional else f" ?? {name}"
        return f"    {name} = try container.decodeIfPresent({self._hint(member)}.self, forKey: .{name}){otherwise}"

    def _known(self, name: str) -> str:
        return f"{_MODULES[name]}.{name}" if name in self._declared else name


def _write(member: DtoMember) -> str:
    name = _name(member)
    return f"    try container.encode{'IfPresent' if member.is_optional else ''}({name}, forKey: .{name})"


def _empty(member: DtoMember) -> str:
    if member.initial is not None:
        return f" = {member.initial}"
    if member.is_optional or not (member.is_list or member.is_map):
        return ""
    return " = []" if member.is_list else " = [:]"


def _wire_name(member: DtoMember) -> str:
    return camel_case(member.name)


def _name(member: DtoMember) -> str:
    name = _wire_name(member)
    return _RENAMED.get(name) or _safe(name)


def _safe(name: str) -> str:
    return f"`{name}`" if name in _KEYWORDS else name
