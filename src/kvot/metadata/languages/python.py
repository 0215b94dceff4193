"""Python classes for the PyPI client `servicestack`: dataclasses with snake_case members.

Their wire names are camelCase whatever the host writes, because that client reads nothing else.
"""

import keyword
from typing import Final

from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented

OPTIONS: Final = {
    "AddImplicitVersion": "",
    "DataClass": "@dataclass",
    "DataClassJson": "@dataclass_json(letter_case=LetterCase.CAMEL, undefined=Undefined.EXCLUDE)",
    "DefaultImports": "datetime,decimal,marshmallow.fields:*,servicestack:*,typing:*,dataclasses:dataclass/field,"
    "dataclasses_json:dataclass_json/LetterCase/Undefined/config,enum:Enum/IntEnum",
}

_SCALARS: Final = {
    "String": "str",
    "Guid": "str",
    "Int32": "int",
    "Int64": "int",
    "Boolean": "bool",
    "Double": "float",
    "DateTime": "datetime.datetime",
}
_DEFAULTS: Final = {
    "int": "0",
    "bool": "False",
    "float": "0.0",
    "datetime.datetime": "datetime.datetime(1, 1, 1)",
}
_TAKEN: Final = frozenset({*keyword.kwlist, *_SCALARS.values(), "list", "dict", "bytes"})


def source(model: Model, options: Options) -> str:
    lines = [*_imports(options.text("DefaultImports")), "Object = TypeVar('Object')"]
    decorators = [options.text("DataClassJson"), options.text("DataClass")]
    for dto in model.dtos:
        lines += ["", "", *_type(dto, decorators)]
    return document(lines) + "\n"


def _imports(text: str) -> list[str]:
    lines = []
    for entry in text.split(","):
        module, _, names = entry.partition(":")
        lines.append(f"from {module} import {names.replace('/', ', ')}" if names else f"import {module}")
    return lines


def _type(dto: Dto, decorators: list[str]) -> list[str]:
    bases = [*dto.markers("IReturn[{}]", "IReturnVoid"), *dto.implements]
    return [
        *(f"# @{attribute_text(attribute)}" for attribute in dto.attributes_with_routes),
        *([] if dto.is_interface else decorators),
        f"class {dto.name}({', '.join(bases)}):" if bases else f"class {dto.name}:",
        *indented(_members(dto), 4),
    ]


def _members(dto: Dto) -> list[str]:
    if not dto.members:
        return ["pass"]
    lines: list[str] = []
    for member in dto.members:
        lines += _member(member)
        if member.description and member is not dto.members[-1]:
            lines += ["", ""] if member.attributes else [""]
    return lines


def _member(member: DtoMember) -> list[str]:
    described = ['"""', member.description, '"""'] if member.description else []
    hint, default = _hint(member)
    name = member.snake_name
    if name in _TAKEN:
        name, default = f"{name}_", f"field(metadata=config(field_name='{name}'), default={default})"
    return [
        *(f"# @{attribute_text(attribute)}" for attribute in member.attributes),
        f"{name}: {hint} = {default}",
        *described,
    ]


def _hint(member: DtoMember) -> tuple[str, str]:
    """The type and the default of a member."""
    hint = _SCALARS.get(member.clr, member.clr)
    default = None if member.is_optional else _DEFAULTS.get(hint)
    if member.initial is not None:
        default = str(member.initial)
    if member.is_list:
        hint, default = f"List[{hint}]", "field(default_factory=list)"
    if member.is_map:
        hint, default = f"Dict[str, {hint}]", "field(default_factory=dict)"
    if member.is_optional or default is None:
        return f"Optional[{hint}]", "None"
    return hint, default
