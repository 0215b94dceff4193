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

OPTIONS: Final = {"MakePropertiesOptional": "True"}

_IMPORTS: Final = ("Foundation", "ServiceStack")
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
    writer = _Writer(frozenset(dto.name for dto in model.dtos))
    types = (writer.type(dto) for dto in model.requests_first().dtos)
    return document([*(f"import {name}" for name in _IMPORTS), "", *spaced(types)])


class _Writer:
    """Writes types beside others: `declared` are the names of all of them."""

    def __init__(self, declared: frozenset[str]) -> None:
        self._declared = declared

    def type(self, dto: Dto) -> list[str]:
        if dto.is_interface:
            body = indented((f"{self._variable(member)} {{ get set }}" for member in dto.members), 4)
            return [f"public protocol {_safe(dto.name)}", "{", *body, "}"]
        bases = [*dto.markers(self._known("IReturn"), self._known("IReturnVoid")), *dto.implements]
        return [
            *(f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
            f"public class {_safe(dto.name)} : {', '.join([*bases, self._known('Codable')])}",
            "{",
            *indented([*self._returned(dto), *self._members(dto), *self._coding_keys(dto)], 4),
            "    required public init(){}",
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
        if not any(_wire_name(member) in _RENAMED for member in dto.members):
            return []
        keys = (f"    case {_name(member)} = {quoted(_wire_name(member))}" for member in dto.members)
        return [f"enum CodingKeys: {self._known('String')}, {self._known('CodingKey')}", "{", *keys, "}", ""]

    def _known(self, name: str) -> str:
        return f"{_MODULES[name]}.{name}" if name in self._declared else name


def _empty(member: DtoMember) -> str:
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
