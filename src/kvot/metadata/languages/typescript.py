"""TypeScript classes for `@servicestack/client`."""

from typing import Final

from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True", "GlobalNamespace": ""}

_SCALARS: Final = {
    "String": "string",
    "Guid": "string",
    "Int32": "number",
    "Int64": "number",
    "Boolean": "boolean",
    "Double": "number",
    "DateTime": "string",
}
_RETURN: Final = ["export interface IReturn<T>", "{", "    createResponse(): T;", "}"]
_RETURN_VOID: Final = ["export interface IReturnVoid", "{", "    createResponse(): void;", "}"]


def source(model: Model, options: Options) -> str:
    blocks = [*_markers(model, options), *(_type(dto) for dto in model.dtos)]
    namespace = options.text("GlobalNamespace")
    if namespace:
        blocks = [[f"export namespace {namespace}", "{", *indented(spaced(blocks), 4), "}"]]
    # The classes leave members unset until a reply fills them; strict compilers would refuse each of them.
    return document(spaced([["// @ts-nocheck"], *blocks]))


def _markers(model: Model, options: Options) -> list[list[str]]:
    """The interfaces that requests use, declared here so that the file stands alone."""
    if not options.on("AddServiceStackTypes"):
        return []
    used = {marker for dto in model.dtos for marker in dto.markers("IReturn", "IReturnVoid")}
    return [block for name, block in (("IReturn", _RETURN), ("IReturnVoid", _RETURN_VOID)) if name in used]


def _type(dto: Dto) -> list[str]:
    if dto.is_interface:
        return [f"export interface {dto.name}", "{", *indented(map(_declaration, dto.members), 4), "}"]
    implements = ", ".join([*dto.markers("IReturn<{}>", "IReturnVoid"), *dto.implements])
    return [
        *(f"// @{attribute_text(attribute)}" for attribute in dto.attributes_with_routes),
        f"export class {dto.name} implements {implements}" if implements else f"export class {dto.name}",
        "{",
        *indented(_members(dto), 4),
        f"    public constructor(init?: Partial<{dto.name}>) {{ (Object as any).assign(this, init); }}",
        *indented(_operation(dto), 4),
        "}",
    ]


def _members(dto: Dto) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        if member.description:
            lines.append(f"/** @description {member.description} */")
        lines += [f"// @{attribute_text(attribute)}" for attribute in member.attributes]
        lines.append(f"public {_declaration(member)}")
        if member.attributes or member is dto.members[-1]:
            lines.append("")
    return lines


def _declaration(member: DtoMember) -> str:
    hint = _SCALARS.get(member.clr, member.clr)
    empty = ""
    if member.is_list:
        hint, empty = f"{hint}[]", " = []"
    if member.is_map:
        hint, empty = f"{{ [index:string]: {hint}; }}", " = {}"
    if member.is_optional:
        return f"{member.json_name}?: {hint};"
    return f"{member.json_name}: {hint}{empty};"


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = f"return new {dto.operation.returns}();" if dto.operation.returns else ""
    return [
        f"public getTypeName() {{ return '{dto.name}'; }}",
        f"public getMethod() {{ return '{dto.operation.verb}'; }}",
        f"public createResponse() {{ {returned} }}" if returned else "public createResponse() {}",
    ]
