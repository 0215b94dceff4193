"""Ruby classes for the gem `servicestack`: accessors, and for each its wire name and type.

A method that every object has would be lost to an accessor of the same name, and a class of Ruby's would be reopened by
one of the same name; both get `_`.
"""

from typing import Final

from kvot.metadata.comment import in_line
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {"AddServiceStackTypes": "True"}

_REQUIRES: Final = ("json", "servicestack")
_SCALARS: Final = {
    "String": "String",
    "Guid": "String",
    "Int32": "Integer",
    "Int64": "Integer",
    "Boolean": "Boolean",
    "Double": "Float",
    "DateTime": "DateTime",
}
_TAKEN_MEMBERS: Final = frozenset(
    {
        *("class", "clone", "define_singleton_method", "display", "dup", "enum_for", "extend", "freeze", "hash"),
        *("initialize", "inspect", "instance_eval", "instance_exec", "instance_variable_get", "instance_variable_set"),
        *("instance_variables", "itself", "method", "method_missing", "methods", "object_id", "public_method"),
        *("public_send", "raise", "respond_to_missing", "send", "singleton_class", "singleton_method", "tap", "then"),
        *("to_enum", "to_h", "to_hash", "to_json", "to_s", "get_method", "get_type_name", "response_type"),
        *("nil", "self", "true", "false"),
    }
)
_TAKEN_TYPES: Final = frozenset(
    {
        *("Array", "BasicObject", "Binding", "Class", "Comparable", "Complex", "Data", "Date", "DateTime", "Dir"),
        *("Encoding", "Enumerable", "Enumerator", "Exception", "FalseClass", "Fiber", "File", "Float", "Gem", "Hash"),
        *("IO", "Integer", "JSON", "Kernel", "Marshal", "MatchData", "Math", "Method", "Module", "Mutex", "NilClass"),
        *("Numeric", "Object", "ObjectSpace", "Proc", "Process", "Queue", "Ractor", "Random", "Range", "Rational"),
        *("Refinement", "Regexp", "RubyVM", "ServiceStack", "Set", "Signal", "StandardError", "String", "Struct"),
        *("Symbol", "Thread", "Time", "TrueClass", "Warning"),
    }
)


def source(model: Model, _options: Options) -> str:
    requires = (f"require '{name}'" for name in _REQUIRES)
    return document([*requires, "", *spaced(_type(dto) for dto in model.dtos)])


def _type(dto: Dto) -> list[str]:
    if dto.is_interface:
        return [f"module {_type_name(dto.name)}", "end"]
    included = ["ServiceStack::DTO", *map(_type_name, dto.implements)]
    body = [[f"include {name}" for name in included], _accessors(dto), _properties(dto), _operation(dto)]
    return [
        *(f"# @{in_line(attribute_text(attribute))}" for attribute in dto.attributes_with_routes),
        f"class {_type_name(dto.name)}",
        *indented(spaced(block for block in body if block), 4),
        "end",
    ]


def _accessors(dto: Dto) -> list[str]:
    lines: list[str] = []
    for member in dto.members:
        lines += [f"# {in_line(member.description)}"] if member.description else []
        lines += [f"# @{in_line(attribute_text(attribute))}" for attribute in member.attributes]
        lines += [f"# @return [{_hint(member)}]", f"attr_accessor :{_name(member)}"]
        if member is not dto.members[-1]:
            lines.append("")
    return lines


def _properties(dto: Dto) -> list[str]:
    properties = (f"        {_name(member)}: {_property(member)}," for member in dto.members)
    return ["def self.properties", "    {", *properties, "    }", "end"]


def _property(member: DtoMember) -> str:
    scalar = _SCALARS.get(member.clr) or _type_name(member.clr)
    name = f"name: '{member.json_name}'"
    if member.is_map:
        return f"{{ {name}, type: {{ String => {scalar} }} }}"
    if member.clr in _SCALARS and member.clr != "DateTime":
        return f"{{ {name} }}"  # JSON has the type too.
    return f"{{ {name}, type: [{scalar}] }}" if member.is_list else f"{{ {name}, type: {scalar} }}"


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = dto.operation.returns if dto.operation.has_marker else None
    return [
        *([f"def response_type() = {_type_name(returned)}"] if returned else []),
        f"def get_type_name() = '{dto.name}'",
        f"def get_method() = '{dto.operation.verb}'",
    ]


def _hint(member: DtoMember) -> str:
    scalar = _SCALARS.get(member.clr) or _type_name(member.clr)
    if member.is_list:
        return f"Array<{scalar}>"
    return f"Hash{{String => {scalar}}}" if member.is_map else scalar


def _name(member: DtoMember) -> str:
    return f"{member.snake_name}_" if member.snake_name in _TAKEN_MEMBERS else member.snake_name


def _type_name(name: str) -> str:
    return f"{name}_" if name in _TAKEN_TYPES else name
