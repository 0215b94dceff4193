"""CommonJS for engines that know neither modules nor classes: constructor functions and their prototypes."""

from typing import Final

from kvot.metadata.model import Dto, Model
from kvot.metadata.options import Options
from kvot.metadata.source import document, indented

OPTIONS: Final = {"AddServiceStackTypes": "True", "AddImplicitVersion": ""}


def source(model: Model, options: Options) -> str:
    lines = ['"use strict";', "exports.__esModule = true;"]
    for dto in model.dtos:
        if not dto.is_interface:
            lines += _type(dto)
    return document(lines)


def _type(dto: Dto) -> list[str]:
    return [
        f"var {dto.name} = /** @class */ (function () {{",
        f"    function {dto.name}(init) {{ {_empties(dto)}Object.assign(this, init); }}",
        *indented(_operation(dto), 4),
        f"    return {dto.name};",
        "}());",
        f"exports.{dto.name} = {dto.name};",
    ]


def _empties(dto: Dto) -> str:
    """Lists and maps that are always there begin empty, a version with its number."""
    always = [member for member in dto.members if not member.is_optional and (member.is_list or member.is_map)]
    starts = {member.json_name: "[]" if member.is_list else "{}" for member in always}
    starts |= {member.json_name: str(member.initial) for member in dto.members if member.initial is not None}
    return "".join(f"this.{name} = {value}; " for name, value in starts.items())


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = f"return new {dto.operation.returns}(); " if dto.operation.returns else ""
    return [
        f"{dto.name}.prototype.getTypeName = function () {{ return '{dto.name}'; }};",
        f"{dto.name}.prototype.getMethod = function () {{ return '{dto.operation.verb}'; }};",
        *([f"{dto.name}.prototype.createResponse = function () {{ {returned}}};"] if dto.operation.has_marker else []),
    ]
