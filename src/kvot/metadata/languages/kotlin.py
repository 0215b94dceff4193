"""Kotlin classes for `net.servicestack.client`: open classes with nullable members and real annotations.

A keyword stands in backticks, so that Gson sees its wire name. A name whose getter is taken on the JVM gets `_` and
says its wire name. A type of the contract that hides one of Kotlin's leaves its name alone, for the client sends it;
Kotlin's is then named in full.
"""

from typing import Final

from kvot.contract.describe import Route, members_of
from kvot.contract.interfaces import INTERFACES
from kvot.metadata.comment import in_block, printable
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced
from kvot.metadata.source import quoted as quoted_plainly

OPTIONS: Final = {
    "AddImplicitVersion": "",
    "Package": "",
    "DefaultImports": "java.math.*,java.util.*,java.io.InputStream,net.servicestack.client.*",
}

_RENAMED: Final = "com.google.gson.annotations.SerializedName"
_SCALARS: Final = {
    "String": "String",
    "Guid": "UUID",
    "Int32": "Int",
    "Int64": "Long",
    "Boolean": "Boolean",
    "Double": "Double",
    "DateTime": "Date",
}
_PACKAGES: Final = {
    **dict.fromkeys(("UUID", "Date", "ArrayList", "HashMap"), "java.util"),
    **dict.fromkeys(("String", "Int", "Long", "Boolean", "Double", "Any"), "kotlin"),
    **dict.fromkeys(("Route", "ApiMember", "ApiResponse", "ValidateRequest"), "net.servicestack.client"),
    **dict.fromkeys(("IReturn", "IReturnVoid"), "net.servicestack.client"),
}
"""Names that generated classes use, and where they come from."""

_KEYWORDS: Final = frozenset(
    {
        *("as", "break", "continue", "do", "else", "false", "for", "fun", "if", "in", "interface", "is", "null"),
        *("object", "package", "return", "super", "this", "throw", "true", "try", "typealias", "typeof", "val", "var"),
        *("when", "while"),
    }
)
_TAKEN: Final = frozenset({"class", "Class", "responseType", "ResponseType"})
"""Their getters would be getClass and getResponseType."""


def source(model: Model, options: Options) -> str:
    writer = _Writer(frozenset(dto.name for dto in model.dtos))
    package = options.text("Package")
    return document(
        [
            *([f"package {package}", ""] if package else []),
            *(f"import {name}" for name in options.names("DefaultImports")),
            "",
            "",
            *spaced(writer.type(dto) for dto in model.requests_first().dtos),
        ]
    )


class _Writer:
    """Writes types beside others: `declared` are the names of all of them."""

    def __init__(self, declared: frozenset[str]) -> None:
        self._declared = declared

    def type(self, dto: Dto) -> list[str]:
        kind = "interface" if dto.is_interface else "open class"
        returns = (self._known("IReturn") + "<{}>", self._known("IReturnVoid"))
        bases = ", ".join([*dto.markers(*returns), *dto.implements])
        return [
            *self._routes(dto),
            *(f"@{self._known(a.name)}{_arguments(attribute_text(a, quote=_quoted))}" for a in dto.attributes),
            f"{kind} {dto.name}{f' : {bases}' if bases else ''}",
            "{",
            *indented([*self._members(dto), *self._response_type(dto)], 4),
            "}",
        ]

    def _routes(self, dto: Dto) -> list[str]:
        """An annotation may stand once, so further routes are comments."""
        routes = dto.operation.routes if dto.operation else ()
        written = [f"@{self._known('Route')}{_route(route)}" for route in routes]
        return [*written[:1], *(f"// {line}" for line in written[1:])]

    def _members(self, dto: Dto) -> list[str]:
        lines: list[str] = []
        for member in dto.members:
            lines += self._member(member, dto)
            if (member.description or member.attributes) and member is not dto.members[-1]:
                lines.append("")
        return lines

    def _member(self, member: DtoMember, dto: Dto) -> list[str]:
        name, hint = _name(member), self._hint(member)
        if dto.is_interface:
            return [f"var {name}:{hint}?"]
        renamed = name.strip("`") != member.json_name
        initial = "null" if member.initial is None else member.initial
        return [
            *(["/**", f"* {in_block(member.description)}", "*/"] if member.description else []),
            *(f"@{self._known(a.name)}{_arguments(attribute_text(a, quote=_quoted))}" for a in member.attributes),
            *([f"@{_RENAMED}({_quoted(member.json_name)})"] if renamed else []),
            f"{'override' if _is_of_interface(member, dto) else 'open'} var {name}:{hint}? = {initial}",
        ]

    def _response_type(self, dto: Dto) -> list[str]:
        if dto.operation is None or not dto.operation.has_marker or dto.operation.returns is None:
            return []
        returned = f"{dto.operation.returns}::class.java"
        return ["", f"override fun getResponseType():{self._known('Any')}? = {returned}"]

    def _hint(self, member: DtoMember) -> str:
        scalar = self._known(_SCALARS[member.clr]) if member.clr in _SCALARS else member.clr
        if member.is_list:
            return f"{self._known('ArrayList')}<{scalar}>"
        return f"{self._known('HashMap')}<{self._known('String')},{scalar}>" if member.is_map else scalar

    def _known(self, name: str) -> str:
        return f"{_PACKAGES[name]}.{name}" if name in self._declared else name


def _is_of_interface(member: DtoMember, dto: Dto) -> bool:
    """The operation page leaves interfaces out of its model, so what they declare is asked of the contract."""
    return any(
        member.name == declared.wire_name
        for name in dto.implements
        if name in INTERFACES
        for declared in members_of(INTERFACES[name])
    )


def _route(route: Route) -> str:
    return printable(f"(Path={_quoted(route.path)}, Verbs={_quoted(route.verb)})")


def _arguments(text: str) -> str:
    return printable(text[text.index("(") :])


def _quoted(text: str) -> str:
    """A dollar sign would begin a template."""
    return quoted_plainly(text).replace("$", "\\$")


def _name(member: DtoMember) -> str:
    if member.json_name in _TAKEN:
        return f"{member.json_name}_"
    return f"`{member.json_name}`" if member.json_name in _KEYWORDS else member.json_name
