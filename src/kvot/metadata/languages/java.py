"""Java classes for `net.servicestack.client`: nested in one class, members with accessors, real annotations.

A keyword, and a name whose accessor Java or the client has taken, gets `_` and says its wire name. A type of the
contract that hides one of Java's leaves its name alone, for the client sends it; Java's is then named in full.
"""

from typing import Final

from kvot.contract.describe import Route
from kvot.metadata.comment import in_block, printable
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, quoted, spaced

OPTIONS: Final = {
    "AddPropertyAccessors": "True",
    "SettersReturnThis": "True",
    "AddImplicitVersion": "",
    "GlobalNamespace": "",
    "Package": "",
    "DefaultImports": "java.math.*,java.util.*,java.io.InputStream,net.servicestack.client.*",
}

_RENAMED: Final = "com.google.gson.annotations.SerializedName"
_SCALARS: Final = {
    "String": "String",
    "Guid": "UUID",
    "Int32": "Integer",
    "Int64": "Long",
    "Boolean": "Boolean",
    "Double": "Double",
    "DateTime": "Date",
}
_PACKAGES: Final = {
    **dict.fromkeys(("UUID", "Date", "ArrayList", "HashMap"), "java.util"),
    **dict.fromkeys(("String", "Integer", "Long", "Boolean", "Double", "Object"), "java.lang"),
    **dict.fromkeys(("Route", "ApiMember", "ApiResponse", "ValidateRequest"), "net.servicestack.client"),
    **dict.fromkeys(("IReturn", "IReturnVoid"), "net.servicestack.client"),
}
"""Names that generated classes use, and where they come from."""

_GAP: Final = " " * 8
"""The published classes have this line before their accessors."""

_TAKEN: Final = frozenset(
    {
        *("abstract", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const", "continue"),
        *("default", "do", "double", "else", "enum", "extends", "final", "finally", "float", "for", "goto", "if"),
        *("implements", "import", "instanceof", "int", "interface", "long", "native", "new", "package", "private"),
        *("protected", "public", "return", "short", "static", "strictfp", "super", "switch", "synchronized", "this"),
        *("throw", "throws", "transient", "try", "void", "volatile", "while", "true", "false", "null", "_"),
        *("Class", "responseType", "ResponseType"),  # getClass, getResponseType
    }
)


def source(model: Model, options: Options) -> str:
    writer = _Writer(frozenset(dto.name for dto in model.dtos), options)
    package = options.text("Package")
    return document(
        [
            *([f"package {package};", ""] if package else []),
            *(f"import {name};" for name in options.names("DefaultImports")),
            "",
            f"public class {options.text('GlobalNamespace') or 'dtos'}",
            "{",
            "",
            *spaced(writer.type(dto) for dto in model.requests_first().dtos),
            "",
            "}",
        ]
    )


class _Writer:
    """Writes types beside others, where they stand in the file. `declared` are the names of all of them."""

    def __init__(self, declared: frozenset[str], options: Options) -> None:
        self._declared = declared
        self._has_accessors = options.on("AddPropertyAccessors")
        self._setters_return = options.on("SettersReturnThis")

    def type(self, dto: Dto) -> list[str]:
        kind = "interface" if dto.is_interface else "class"
        returns = (self._known("IReturn") + "<{}>", self._known("IReturnVoid"))
        bases = ", ".join([*dto.markers(*returns), *dto.implements])
        head = [
            *self._routes(dto),
            *(f"@{self._known(a.name)}{_arguments(attribute_text(a))}" for a in dto.attributes),
            f"public static {kind} {dto.name}{f' implements {bases}' if bases else ''}",
            "{",
        ]
        body = indented(self._accessors_of(dto), 8) if dto.is_interface else self._body(dto)
        return [*indented(head, 4), *body, "    }"]

    def _routes(self, dto: Dto) -> list[str]:
        """An annotation may stand once, so further routes are comments."""
        routes = dto.operation.routes if dto.operation else ()
        written = [f"@{self._known('Route')}{_route(route)}" for route in routes]
        return [*written[:1], *(f"// {line}" for line in written[1:])]

    def _body(self, dto: Dto) -> list[str]:
        lines: list[str] = []
        for member in dto.members:
            lines += self._member(member)
            if (member.description or member.attributes) and member is not dto.members[-1]:
                lines.append("")
        accessors = self._accessors_of(dto)
        gap = [_GAP] if accessors else []
        return [*indented(lines, 8), *gap, *indented([*accessors, *self._response_type(dto)], 8)]

    def _response_type(self, dto: Dto) -> list[str]:
        if dto.operation is None or not dto.operation.has_marker or dto.operation.returns is None:
            return []
        returned = f"public {self._known('Object')} getResponseType()"
        return ["", f"{returned} {{ return {dto.operation.returns}.class; }}"]

    def _member(self, member: DtoMember) -> list[str]:
        name = _name(member)
        return [
            *_comment(member.description),
            *(f"@{self._known(a.name)}{_arguments(attribute_text(a))}" for a in member.attributes),
            *([f"@{_RENAMED}({quoted(member.json_name)})"] if name != member.json_name else []),
            f"public {self._hint(member)} {name} = {'null' if member.initial is None else member.initial};",
        ]

    def _accessors_of(self, dto: Dto) -> list[str]:
        """All that an interface has, for a field of it would be a constant."""
        if not self._has_accessors:
            return []
        return [line for member in dto.members for line in self._accessors(member, dto)]

    def _accessors(self, member: DtoMember, dto: Dto) -> list[str]:
        name, hint = _name(member), self._hint(member)
        getter, setter = f"{hint} get{_capital(name)}()", f"set{_capital(name)}({hint} value)"
        if dto.is_interface:
            return [f"{getter};", f"{dto.name if self._setters_return else 'void'} {setter};"]
        if not self._setters_return:
            return [f"public {getter} {{ return {name}; }}", f"public void {setter} {{ this.{name} = value; }}"]
        return [
            f"public {getter} {{ return {name}; }}",
            f"public {dto.name} {setter} {{ this.{name} = value; return this; }}",
        ]

    def _hint(self, member: DtoMember) -> str:
        scalar = self._known(_SCALARS[member.clr]) if member.clr in _SCALARS else member.clr
        if member.is_list:
            return f"{self._known('ArrayList')}<{scalar}>"
        return f"{self._known('HashMap')}<{self._known('String')}, {scalar}>" if member.is_map else scalar

    def _known(self, name: str) -> str:
        return f"{_PACKAGES[name]}.{name}" if name in self._declared else name


def _route(route: Route) -> str:
    return printable(f"(Path={quoted(route.path)}, Verbs={quoted(route.verb)})")


def _arguments(text: str) -> str:
    return printable(text[text.index("(") :])


def _comment(description: str | None) -> list[str]:
    """Java reads `\\u` in comments too; a doubled backslash keeps it from doing so."""
    if description is None:
        return []
    return ["/**", f"* {in_block(description).replace(chr(92), chr(92) * 2)}", "*/"]


def _name(member: DtoMember) -> str:
    return f"{member.json_name}_" if member.json_name in _TAKEN else member.json_name


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
