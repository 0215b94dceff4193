"""TypeScript classes for `@servicestack/client`."""

from typing import Final

from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True", "AddImplicitVersion": "", "GlobalNamespace": "", "DefaultImports": ""}

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
    # The interfaces that requests use are declared here so that the file stands alone.
    markers = [_RETURN, _RETURN_VOID] if options.on("AddServiceStackTypes") else []
    blocks = [*markers, *(_type(dto) for dto in model.dtos)]
    namespace = options.text("GlobalNamespace")
    if namespace:
        blocks = [[f"export namespace {namespace}", "{", *indented(spaced(blocks), 4), "}"]]
    imports = _imports(options)
    # The classes leave members unset until a reply fills them; strict compilers would refuse each of them.
    return document(spaced([["// @ts-nocheck"], *([imports] if imports else []), *blocks]))


def _imports(options: Options) -> list[str]:
    """`module:A/B` as an import of both names. A colon parts, since a module's name may have slashes."""
    entries = (entry.rpartition(":") for entry in options.names("DefaultImports"))
    return [f'import {{ {names.replace("/", ", ")} }} from "{module}";' for module, _, names in entries if module]


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
    if member.initial is not None:
        empty = f" = {member.initial}"
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
