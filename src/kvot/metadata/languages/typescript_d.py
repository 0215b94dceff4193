"""TypeScript declarations (`.d.ts`): interfaces alone, for code that makes its objects by hand.

They stand in a namespace that is everywhere, or with `ExportAsTypes` in a module that is imported.
"""

from typing import Final

from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {
    "AddServiceStackTypes": "True",
    "ExportAsTypes": "False",
    "GlobalNamespace": "",
    "MakePropertiesOptional": "True",
}

_SCALARS: Final = {
    "String": "string",
    "Guid": "string",
    "Int32": "number",
    "Int64": "number",
    "Boolean": "boolean",
    "Double": "number",
    "DateTime": "string",
}
_NAMESPACE: Final = "dtos"
_RETURN: Final = ["interface IReturn<T>", "{", "}"]
_RETURN_VOID: Final = ["interface IReturnVoid", "{", "}"]


def source(model: Model, options: Options) -> str:
    markers = [_RETURN, _RETURN_VOID] if options.on("AddServiceStackTypes") else []
    blocks = [*markers, *map(_type, model.dtos)]
    if options.on("ExportAsTypes"):
        return document(spaced(map(_exported, blocks)))
    namespace = options.text("GlobalNamespace") or _NAMESPACE
    return document([f"declare namespace {namespace}", "{", *indented(spaced(blocks), 4), "}"])


def _exported(block: list[str]) -> list[str]:
    return [f"export {line}" if line.startswith("interface ") else line for line in block]


def _type(dto: Dto) -> list[str]:
    bases = ", ".join([*dto.markers("IReturn<{}>", "IReturnVoid"), *dto.implements])
    return [
        *(f"// @{attribute_text(attribute)}" for attribute in dto.attributes_with_routes),
        f"interface {dto.name} extends {bases}" if bases else f"interface {dto.name}",
        "{",
        *indented(spaced(map(_member, dto.members)), 4),
        "}",
    ]


def _member(member: DtoMember) -> list[str]:
    hint = _SCALARS.get(member.clr, member.clr)
    if member.is_list:
        hint = f"{hint}[]"
    if member.is_map:
        hint = f"{{ [index:string]: {hint}; }}"
    return [
        *([f"/** @description {member.description} */"] if member.description else []),
        *(f"// @{attribute_text(attribute)}" for attribute in member.attributes),
        f"{member.json_name}{'?' if member.is_optional else ''}: {hint};",
    ]
