"""JavaScript modules for browsers and Node: classes with JSDoc types."""

from typing import Final

from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import document, indented

OPTIONS: Final = {"AddServiceStackTypes": "True", "AddDocAnnotations": "True", "AddImplicitVersion": ""}

_SCALARS: Final = {
    "String": "string",
    "Guid": "string",
    "Int32": "number",
    "Int64": "number",
    "Boolean": "boolean",
    "Double": "number",
    "DateTime": "string",
}


def source(model: Model, options: Options) -> str:
    lines = ['"use strict";']
    for dto in model.dtos:
        if not dto.is_interface:
            lines += _type(dto, options)
    return document(lines)


def _type(dto: Dto, options: Options) -> list[str]:
    has_docs = options.on("AddDocAnnotations")
    init = ",".join(f"{member.json_name}?:{_hint(member)}" for member in dto.members)
    body = [
        *([f"/** @param {{{{{init}}}}} [init] */"] if has_docs else []),
        "constructor(init) { Object.assign(this, init) }",
        *(line for member in dto.members for line in _member(member, has_docs)),
        *_operation(dto),
    ]
    return [f"export class {dto.name} {{", *indented(body, 4), "}"]


def _member(member: DtoMember, has_docs: bool) -> list[str]:
    hint = f"?{_hint(member)}" if member.is_optional else _hint(member)
    declared = f"{member.json_name}{_initial(member)};"
    if not has_docs:
        return [declared]
    if member.description is None:
        return [f"/** @type {{{hint}}} */", declared]
    return ["/**", f" * @type {{{hint}}}", f" * @description {member.description} */", declared]


def _initial(member: DtoMember) -> str:
    if member.initial is not None:
        return f" = {member.initial}"
    return "" if member.is_optional else " = []" if member.is_list else " = {}" if member.is_map else ""


def _hint(member: DtoMember) -> str:
    hint = _SCALARS.get(member.clr, member.clr)
    if member.is_list:
        return f"{hint}[]"
    return f"{{ [index:string]: {hint}; }}" if member.is_map else hint


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = f"return new {dto.operation.returns}() " if dto.operation.returns else ""
    return [
        f"getTypeName() {{ return '{dto.name}' }}",
        f"getMethod() {{ return '{dto.operation.verb}' }}",
        *([f"createResponse() {{ {returned}}}"] if dto.operation.has_marker else []),
    ]
