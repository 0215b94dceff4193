"""A made-up contract of all that generated code could stumble over: names that languages have taken, text that would
end the comment or string it stands in, lists, maps and nested types, members that may be missing and such that may not.
"""

import keyword
from types import GenericAlias
from typing import Annotated

from kvot.contract.describe import DateTime, Guid, Int, Long, Member, Operation, Request, Response, Route
from kvot.contract.status import ResponseStatus
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.model import JsonCase, Model, model_of
from kvot.metadata.types import page_source, types_source
from tests.metadata.golden import BASE_URL, NOW

HOSTILE = (
    'Ends */ /* opens *//* */* and """ \'\'\' "quotes" \\ \\u002a\\u002f \\u000a public $d ${x} \\(y) #{z} %> ?> <?php'
    " `t`\r\n=end\n*/ }\n// # -- (* *)\x00\u202e\u2028\u0085\ufeffends with \\"
)
"""Each of these ends a comment or a string, or begins code in one, in some language."""

TAKEN_TYPES = (
    *("Any", "Array", "ArrayList", "Class", "Codable", "Date", "Echo", "Exception", "Function"),
    *("Hash", "HashMap", "Int", "JsonConverters", "List", "Map", "Object", "Option", "Protocol", "Route", "Self"),
    *("Serialize", "Time", "Type", "TypeInfo", "UUID", "Vec", "Locale", "Error", "ServiceStack"),
)
TAKEN_MEMBERS = (
    *("alias", "begin", "case", "catch", "chan", "class", "context", "crate", "create_response", "default", "def"),
    *("description", "do", "end", "ensure", "enum", "extends", "final", "fn", "for", "from_map", "fun", "func"),
    *("get_type_name", "go", "guard", "hash", "hash_code", "http_method", "if", "import", "impl", "in", "init", "int"),
    *("interface", "internal", "is", "let", "loop", "map", "match", "method", "mod", "move", "native", "new", "nil"),
    *("null", "object", "object_id", "operator", "package", "protocol", "range", "ref", "rescue", "response_type"),
    *("return", "runtime_type", "select", "self", "send", "static", "string", "struct", "super", "switch", "this"),
    *("throw", "to_json", "to_string", "trait", "true", "try", "type", "typeof", "unless", "use", "val", "var", "void"),
    *("when", "where", "while", "with", "yield", "abstract", "dynamic", "bool"),
)


def _struct(name, base, members):
    """A type of the contract with these members: names and hints. `class_` is `class` on the wire."""
    defaults = dict.fromkeys(members) if base is Request else {}
    return type(base)(name, (base,), {"__annotations__": members, "__module__": __name__, **defaults}, kw_only=True)


def _python_name(name):
    return f"{name}_" if keyword.iskeyword(name) else name


_TYPES = {name: _struct(name, Response, {"text": str | None, "own": str}) for name in TAKEN_TYPES}
_EVERYTHING = {
    "text": str,
    "guid": Guid,
    "int32": Int,
    "int64": Long,
    "double": float,
    "boolean": bool,
    "at": DateTime,
    "texts": list[str],
    "times": list[DateTime],
    "map": dict[str, str],
    "nested": _TYPES["Date"],
    "nesteds": GenericAlias(list, _TYPES["List"]),
}
_TAKEN = _struct("TakenMembers", Response, {_python_name(name): str | None for name in TAKEN_MEMBERS})
_REPLY = _struct(
    "OddReply",
    Response,
    {
        **_EVERYTHING,
        **{f"maybe_{name}": hint | None for name, hint in _EVERYTHING.items()},
        **{f"of_{name.lower()}": hint for name, hint in _TYPES.items()},
        "taken": _TAKEN,
        "response_status": ResponseStatus,
    },
)
_SAID = Member(HOSTILE, data_type=HOSTILE, parameter_type="path", is_required=True)
_REQUEST = _struct(
    "OddRequest",
    Request,
    {
        "company_id": Annotated[Guid | None, Member(HOSTILE)],
        "name": Annotated[str, _SAID],
        "value": Annotated[str, _SAID],
    },
)
_EMPTY = _struct("VoidRequest", Request, {})

OPERATIONS = (
    Operation(
        _REQUEST,
        _REPLY,
        (Route("GET", "/odd/{Name}/$x/\\u002a", "s"), Route("POST", '/odd*/"?>"', "s")),
        None,
        roles=("o'dd", '"*/'),
        implements=("ICompany",),
    ),
    Operation(_EMPTY, None, (Route("DELETE", "/void", "s"),), None),
)


def odd_model(json_case: JsonCase = "camel") -> Model:
    return model_of(OPERATIONS, json_case=json_case)


def odd_texts(key: str) -> dict[str, str]:
    """What `/types/{key}` says of this contract, by the options asked for."""
    queries: dict[str, list[tuple[str, str]]] = {
        "plain": [],
        "required": [("MakePropertiesOptional", "False")],
        "bare": [("WithoutOptions", ""), ("AddReturnMarker", "False"), ("AddDescriptionAsComments", "False")],
    }
    return {name: types_source(key, odd_model(), query, BASE_URL, NOW) or "" for name, query in queries.items()}


def odd_page(key: str) -> str:
    assert key in LANGUAGES
    return page_source(key, odd_model(), OPERATIONS[0]) or ""
