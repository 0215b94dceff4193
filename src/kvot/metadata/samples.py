"""The sample request and response of an operation page, as text, in every format that has a page.

Samples show the shape of a message, not a possible one: strings read `String`, numbers are 0, lists hold one element.
They are the pages' own: nothing that reads or writes real messages uses them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kvot.contract.describe import Operation
from kvot.metadata.model import Dto, DtoMember, Model, route_of
from kvot.metadata.samples_xml import xml_sample

_NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
_WRITING_VERBS: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """`shown`: what the page calls the format. The original's name for JSON Lines is a slip that people know it by.

    `has_json_names`: its messages name members as the host's JSON does; every other format writes PascalCase.
    """

    content_type: str
    shown: str
    write: Callable[[Model, Dto], str]
    has_json_names: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    request: str
    response: str


def sample_of(operation: Operation, form: SampleFormat, model: Model, host_name: str) -> Sample:
    """Both messages of the operation. Two lines of the request end with a blank, as published."""
    route = route_of(operation)
    request = [f"{route.verb} {route.path} HTTP/1.1 ", f"Host: {host_name} ", f"Accept: {form.content_type}"]
    if route.verb in _WRITING_VERBS:
        body = form.write(model, _named(model, operation.name))
        request += [f"Content-Type: {form.content_type}", "Content-Length: length", "", body]
    if operation.response is None:
        return Sample("\n".join(request), "HTTP/1.1 204 No Content")
    body = form.write(model, _named(model, operation.response.__name__))
    response = ["HTTP/1.1 200 OK", f"Content-Type: {form.content_type}", "Content-Length: length", "", body]
    return Sample("\n".join(request), "\n".join(response))


def _named(model: Model, name: str) -> Dto:
    dto = model.named(name)
    assert dto is not None, f"the model lacks {name}"
    return dto


def _shown_members(dto: Dto) -> list[DtoMember]:
    """JSON and JSV leave out a GUID that was never set."""
    return [member for member in dto.members if member.clr != "Guid" or member.is_list or member.is_optional]


def _json(model: Model, dto: Dto) -> str:
    members = (f'"{member.json_name}":{_json_value(model, member)}' for member in _shown_members(dto))
    return "{" + ",".join(members) + "}"


def _json_value(model: Model, member: DtoMember) -> str:
    referred = model.named(member.clr)
    scalar = _json(model, referred) if referred else _JSON_SCALARS.get(member.clr, json.dumps("String"))
    if member.is_map:
        return f'{{"String":{scalar}}}'
    return f"[{scalar}]" if member.is_list else scalar


_JSON_SCALARS: Final = {
    "Int32": "0",
    "Int64": "0",
    "Double": "0",
    "Boolean": "false",
    "Guid": f'"{_NO_GUID}"',
    "DateTime": r'"\/Date(-62135596800000)\/"',
}


def _jsv(model: Model, dto: Dto) -> str:
    return "\n".join(_jsv_object(model, dto))


def _jsv_object(model: Model, dto: Dto) -> list[str]:
    return _jsv_block("{}", [_jsv_member(model, member) for member in _shown_members(dto)])


def _jsv_member(model: Model, member: DtoMember) -> list[str]:
    referred = model.named(member.clr)
    value = _jsv_object(model, referred) if referred else [_JSV_SCALARS.get(member.clr, "String")]
    if member.is_map:
        value = _jsv_block("{}", [[f"String: {value[0]}"]])
    elif member.is_list:
        value = _jsv_block("[]", [value])
    return [f"{member.name}: {value[0]}"] if len(value) == 1 else [f"{member.name}: ", *value]


def _jsv_block(brackets: str, entries: list[list[str]]) -> list[str]:
    """Entries between brackets, moved right by a tab, a comma after each but the last."""
    lines: list[str] = []
    for entry in entries:
        if lines:
            lines[-1] += ","
        lines += [f"\t{line}" for line in entry]
    return [brackets[0], *lines, brackets[1]]


_JSV_SCALARS: Final = {
    "Int32": "0",
    "Int64": "0",
    "Double": "0",
    "Boolean": "False",
    "Guid": _NO_GUID,
    "DateTime": "0001-01-01",
}

SAMPLE_FORMATS: Final[dict[str, SampleFormat]] = {
    "json": SampleFormat("application/json", "json", _json, has_json_names=True),
    "xml": SampleFormat("application/xml", "xml", xml_sample),
    "jsv": SampleFormat("text/jsv", "jsv", _jsv),
    "csv": SampleFormat("text/csv", "csv", _json),
    "jsonl": SampleFormat("text/jsonl", "other", _json, has_json_names=True),
}
"""By the key in a page's address. The samples of CSV and JSON Lines are JSON, as on the original's pages."""
