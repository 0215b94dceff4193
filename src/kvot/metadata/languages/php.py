"""PHP classes for `servicestack/client`: promoted constructor parameters, `fromMap` and `jsonSerialize`.

PHP knows class names in any case, so those that it or an import has taken get `_` whatever their case.
"""

from typing import Final

from kvot.metadata.comment import in_block, in_line
from kvot.metadata.model import Dto, DtoMember, Model
from kvot.metadata.options import Options
from kvot.metadata.source import attribute_text, document, indented, spaced

OPTIONS: Final = {"AddDocAnnotations": "True", "AddImplicitVersion": ""}

_OPENING: Final = ["<?php namespace dtos;", ""]
"""The header brings the first of these lines itself, for nothing may stand before it."""
_USES: Final = (
    "DateTime",
    "Exception",
    "DateInterval",
    "JsonSerializable",
    "ServiceStack\\{IReturn,IReturnVoid,IGet,IPost,IPut,IDelete,IPatch}",
    "ServiceStack\\{ResponseStatus,ResponseError,EmptyResponse}",
    "ServiceStack\\{ArrayList,ByteArray}",
    "ServiceStack\\{JsonConverters,Returns,TypeContext}",
)
_SCALARS: Final = {
    "String": "string",
    "Guid": "string",
    "Int32": "int",
    "Int64": "int",
    "Boolean": "bool",
    "Double": "float",
    "DateTime": "DateTime",
}
_DEFAULTS: Final = {"string": "''", "int": "0", "float": "0.0", "array": "[]"}
"""Types that are never null unless they are optional. A bool is: published classes tell false from not stated."""

_TAKEN_TYPES: Final = frozenset(
    {
        *("abstract", "and", "array", "as", "bool", "break", "callable", "case", "catch", "class", "clone", "const"),
        *("continue", "declare", "default", "die", "do", "echo", "else", "elseif", "empty", "enddeclare", "endfor"),
        *("endforeach", "endif", "endswitch", "endwhile", "enum", "eval", "exit", "extends", "false", "final"),
        *("finally", "float", "fn", "for", "foreach", "function", "global", "goto", "if", "implements", "include"),
        *("include_once", "instanceof", "insteadof", "int", "interface", "isset", "iterable", "list", "match", "mixed"),
        *("namespace", "never", "new", "null", "object", "or", "parent", "print", "private", "protected", "public"),
        *("readonly", "require", "require_once", "return", "self", "static", "string", "switch", "throw", "trait"),
        *("true", "try", "unset", "use", "var", "void", "while", "xor", "yield"),
        *("datetime", "exception", "dateinterval", "jsonserializable"),
        *("ireturn", "ireturnvoid", "iget", "ipost", "iput", "idelete", "ipatch", "emptyresponse"),
        *("arraylist", "bytearray", "jsonconverters", "returns", "typecontext"),
    }
)


def source(model: Model, options: Options) -> str:
    return document(
        [
            *([] if options.has_header else _OPENING),
            *(f"use {name};" for name in _USES),
            "",
            "",
            *spaced(map(_type, model.dtos) if options.on("AddDocAnnotations") else map(_undocumented, model.dtos)),
        ]
    )


def _undocumented(dto: Dto) -> list[str]:
    """Without the types and throws that tools read; every one of them has a line of its own."""
    return [line for line in _type(dto) if not line.lstrip().startswith(("/** @var ", "/** @throws "))]


def _type(dto: Dto) -> list[str]:
    if dto.is_interface:
        return [f"interface {_type_name(dto.name)}", "{", "}"]
    bases = ", ".join([*dto.markers("IReturn", "IReturnVoid"), *map(_type_name, dto.implements), "JsonSerializable"])
    body = [*_constructor(dto), "", *_from_map(dto), "", *_json_serialize(dto), *_operation(dto)]
    return [
        *(_attribute(attribute_text(attribute)) for attribute in dto.attributes_with_routes),
        *(f"#[Returns({_class_of(returned)})]" for returned in _returned(dto)),
        f"class {_type_name(dto.name)} implements {bases}",
        "{",
        *indented(body, 4),
        "}",
    ]


def _returned(dto: Dto) -> list[str]:
    marked = dto.operation is not None and dto.operation.has_marker
    return [dto.operation.returns] if marked and dto.operation and dto.operation.returns else []


def _attribute(text: str) -> str:
    """`?>` would end PHP in the middle of a comment that runs to the end of its line."""
    return f"// @{in_line(text).replace('?>', '? >')}"


def _constructor(dto: Dto) -> list[str]:
    lines = ["public function __construct("]
    for member in dto.members:
        is_last = member is dto.members[-1]
        lines += indented(_parameter(member, is_last), 4)
        if (member.description or member.attributes) and not is_last:
            lines.append("")
    return [*lines, ") {", "}"]


def _parameter(member: DtoMember, is_last: bool) -> list[str]:
    hint, default = _hint(member), _default(member)
    return [
        *([f"/** @description {in_block(member.description)} */"] if member.description else []),
        *(_attribute(attribute_text(attribute)) for attribute in member.attributes),
        f"/** @var {_documented(member)}{'|null' if default == 'null' else ''} */",
        f"public {'?' if default == 'null' else ''}{hint} ${_name(member)}={default}{'' if is_last else ','}",
    ]


def _from_map(dto: Dto) -> list[str]:
    reads = (
        f"    if (isset($o['{member.json_name}'])) $this->{_name(member)} = {_read(member)};" for member in dto.members
    )
    return ["/** @throws Exception */", "public function fromMap($o): void {", *reads, "}"]


def _read(member: DtoMember) -> str:
    value = f"$o['{member.json_name}']"
    if member.is_list:
        return f"JsonConverters::fromArray({_class_of(member.clr)}, {value})"
    if member.is_map:
        return f"JsonConverters::from({_map_context(member)}, {value})"
    return value if _is_plain(member) else f"JsonConverters::from({_class_of(member.clr)}, {value})"


def _json_serialize(dto: Dto) -> list[str]:
    writes = (
        f"    if (isset($this->{_name(member)})) $o['{member.json_name}'] = {_written(member)};"
        for member in dto.members
    )
    return [
        "/** @throws Exception */",
        "public function jsonSerialize(): mixed",
        "{",
        "    $o = [];",
        *writes,
        "    return empty($o) ? new class(){} : $o;",
        "}",
    ]


def _written(member: DtoMember) -> str:
    value = f"$this->{_name(member)}"
    if member.is_list:
        return f"JsonConverters::toArray({_class_of(member.clr)}, {value})"
    if member.is_map:
        return f"JsonConverters::to({_map_context(member)}, {value})"
    return value if _is_plain(member) else f"JsonConverters::to({_class_of(member.clr)}, {value})"


def _operation(dto: Dto) -> list[str]:
    if dto.operation is None:
        return []
    returned = _returned(dto)
    response = [f"public function createResponse(): mixed {{ return new {_type_name(name)}(); }}" for name in returned]
    void = [] if returned or not dto.operation.has_marker else ["public function createResponse(): void {}"]
    return [
        "",
        f"public function getTypeName(): string {{ return '{dto.name}'; }}",
        f"public function getMethod(): string {{ return '{dto.operation.verb}'; }}",
        *response,
        *void,
    ]


def _class_of(clr: str) -> str:
    """How the client's converters are told a type: its own by name, a class by its full name."""
    return f"'{_SCALARS[clr]}'" if clr in _SCALARS else f"{_type_name(clr)}::class"


def _map_context(member: DtoMember) -> str:
    return f"JsonConverters::context('Dictionary',genericArgs:['string',{_class_of(member.clr)}])"


def _is_plain(member: DtoMember) -> bool:
    """JSON has the type too."""
    return _hint(member) in ("string", "int", "bool", "float")


def _hint(member: DtoMember) -> str:
    if member.is_list or member.is_map:
        return "array"
    return _SCALARS.get(member.clr) or _type_name(member.clr)


def _documented(member: DtoMember) -> str:
    scalar = _SCALARS.get(member.clr) or _type_name(member.clr)
    if member.is_list:
        return f"array<{scalar}>"
    return f"array<string,{scalar}>" if member.is_map else scalar


def _default(member: DtoMember) -> str:
    if member.initial is not None:
        return str(member.initial)
    return "null" if member.is_optional else _DEFAULTS.get(_hint(member), "null")


def _name(member: DtoMember) -> str:
    return "this_" if member.json_name == "this" else member.json_name


def _type_name(name: str) -> str:
    return f"{name}_" if name.lower() in _TAKEN_TYPES else name
