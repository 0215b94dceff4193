"""The XML of an operation page's samples: the DataContract dialect, indented by two blanks, every member present."""

from typing import Final

from kvot.metadata.model import BUILT_IN, Dto, DtoMember, Model

_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
_ARRAYS: Final = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_SERVICESTACK: Final = "http://schemas.servicestack.net/types"
_DATA_CONTRACT: Final = "http://schemas.datacontract.org/2004/07/"

_VALUES: Final = {
    "Int32": "0",
    "Int64": "0",
    "Double": "0",
    "Boolean": "false",
    "Guid": "00000000-0000-0000-0000-000000000000",
    "DateTime": "0001-01-01T00:00:00",
}
_LIST_NAMES: Final = {
    "String": "string",
    "Int32": "int",
    "Int64": "long",
    "Double": "double",
    "Boolean": "boolean",
    "Guid": "guid",
    "DateTime": "dateTime",
}


def xml_sample(model: Model, dto: Dto) -> str:
    """The type as a document, without declaration."""
    namespaces = f' xmlns:i="{_INSTANCE}" xmlns="{_DATA_CONTRACT}{model.host.dto_namespace}"'
    return "\n".join(_element(dto.name, _members(model, dto, prefix="", depth=2), namespaces))


def _element(tag: str, content: list[str], namespaces: str = "") -> list[str]:
    return [f"<{tag}{namespaces}>", *(f"  {line}" for line in content), f"</{tag}>"]


def _members(model: Model, dto: Dto, prefix: str, depth: int) -> list[str]:
    """The elements of an object. `prefix` stands for the namespace of its type, `depth` is that of the elements; the
    root's is 1. Members come in ordinal order, but for the types that state their own."""
    members = dto.members if dto.name in BUILT_IN else sorted(dto.members, key=lambda member: member.name)
    return [line for member in members for line in _member(model, member, prefix, depth)]


def _member(model: Model, member: DtoMember, prefix: str, depth: int) -> list[str]:
    """One element. It declares the namespace of what it holds, under a prefix made of its depth, where that is new."""
    tag = f"{prefix}{member.name}"
    namespace = _namespace_within(model, member, prefix)
    if namespace is None:
        return _written(tag, _content(model, member, prefix, depth))
    inner = f"d{depth}p1"
    return _written(tag, _content(model, member, f"{inner}:", depth), f' xmlns:{inner}="{namespace}"')


def _written(tag: str, content: list[str] | str, namespaces: str = "") -> list[str]:
    if isinstance(content, str):
        return [f"<{tag}>{content}</{tag}>"]
    return _element(tag, content, namespaces)


def _namespace_within(model: Model, member: DtoMember, prefix: str) -> str | None:
    if member.is_map or (member.is_list and model.named(member.clr) is None):
        return _ARRAYS
    return _SERVICESTACK if member.clr in BUILT_IN and not prefix else None


def _content(model: Model, member: DtoMember, prefix: str, depth: int) -> list[str] | str:
    """Elements, or the text of a scalar."""
    referred = model.named(member.clr)
    value = _VALUES.get(member.clr, "String")
    if member.is_map:
        pair = [f"<{prefix}Key>String</{prefix}Key>", f"<{prefix}Value>{value}</{prefix}Value>"]
        return _element(f"{prefix}KeyValueOfstringstring", pair)
    if referred is not None and member.is_list:
        return _element(f"{prefix}{referred.name}", _members(model, referred, prefix, depth + 2))
    if referred is not None:
        return _members(model, referred, prefix, depth + 1)
    name = f"{prefix}{_LIST_NAMES.get(member.clr, 'string')}"
    return [f"<{name}>{value}</{name}>"] if member.is_list else value
