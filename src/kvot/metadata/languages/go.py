"""Go structs for `servicestack-go`, as gofmt formats them but for blanks at line ends of the header.

Go matches interfaces by their methods, so a request is what the client wants without naming the client. Interfaces of
the contract are left out: Go's cannot ask for a member.
"""

from typing import Final

from kvot.metadata.comment import in_line
from kvot.metadata.model import BUILT_IN, Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, quoted, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True", "Package": "dtos"}

_CLIENT: Final = 'ss "github.com/ServiceStack/servicestack-go"'
_SCALARS: Final = {
    "String": "string",
    "Guid": "string",
    "Int32": "int",
    "Int64": "int64",
    "Boolean": "bool",
    "Double": "float64",
    "DateTime": "time.Time",
}
_TAKEN_TYPES: Final = frozenset(
    {
        *("break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough", "for", "func", "go"),
        *("goto", "if", "import", "interface", "map", "package", "range", "return", "select", "struct", "switch"),
        *("type", "var", "bool", "float64", "int", "int64", "string", "time", "ss"),
    }
)
_TAKEN_MEMBERS: Final = frozenset({"CreateResponse", "CreateResponseVoid", "HttpMethod"})


def source(model: Model, options: Options) -> str:
    structs = [dto for dto in model.dtos if not dto.is_interface]
    imports = _imports(structs)
    head = [f"package {options.text('Package')}", ""]
    return document([*head, *([*imports, ""] if imports else []), *spaced(_type(dto, structs) for dto in structs)])


def _imports(structs: list[Dto]) -> list[str]:
    members = [member for dto in structs for member in dto.members]
    used = [_CLIENT] if any(_is_of_client(member.clr, structs) for member in members) else []
    if any(member.clr == "DateTime" for member in members):
        used.append('"time"')
    return ["import (", *(f"\t{name}" for name in used), ")"] if used else []


def _is_of_client(clr: str, structs: list[Dto]) -> bool:
    return clr in BUILT_IN and all(dto.name != clr for dto in structs)


def _type(dto: Dto, structs: list[Dto]) -> list[str]:
    name = _type_name(dto.name)
    attributes = [f"// @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes]
    if not dto.members:
        return [*attributes, f"type {name} struct{{}}", *_operation(dto, name)]
    members = spaced(_member(member, structs) for member in dto.members)
    body = [f"\t{line}" if line else line for line in members]
    return [*attributes, f"type {name} struct {{", *body, "}", *_operation(dto, name)]


def _member(member: DtoMember, structs: list[Dto]) -> list[str]:
    name = f"{member.name}_" if member.name in _TAKEN_MEMBERS else member.name
    hint = _hint(member, structs)
    tag = f"{member.json_name},omitempty" if member.is_optional or hint.startswith("*") else member.json_name
    return [
        *([f"// {in_line(member.description)}"] if member.description else []),
        *(f"// @{in_line(attribute_text(attribute))}" for attribute in member.attributes),
        f"{name} {hint} `json:{quoted(tag)}`",
    ]


def _hint(member: DtoMember, structs: list[Dto]) -> str:
    prefix = "ss." if _is_of_client(member.clr, structs) else ""
    scalar = _SCALARS.get(member.clr) or f"{prefix}{_type_name(member.clr)}"
    if member.is_list:
        return f"[]{scalar}"
    if member.is_map:
        return f"map[string]{scalar}"
    # A value that may be missing is told from a zero, and a struct from an empty one, by a pointer that is nil.
    return f"*{scalar}" if member.is_optional or member.clr not in _SCALARS else scalar


def _operation(dto: Dto, name: str) -> list[str]:
    if dto.operation is None:
        return []
    method = f'func ({name}) HttpMethod() string {{ return "{dto.operation.verb}" }}'
    if not dto.operation.has_marker:
        return ["", method]
    if dto.operation.returns is None:
        return ["", f"func ({name}) CreateResponseVoid() {{}}", "", method]
    returned = _type_name(dto.operation.returns)
    opening = f"func ({name}) CreateResponse() {returned} {{"
    return ["", opening, f"\treturn {returned}{{}}", "}", "", method]


def _type_name(name: str) -> str:
    return f"{name}_" if name in _TAKEN_TYPES else name
