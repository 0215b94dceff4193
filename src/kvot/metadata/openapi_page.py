"""The page that shows the OpenAPI document to people: `/openapi`. It is made from the document alone.

Each operation and each type has an anchor of its own, so that a link can point at it.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from kvot.metadata.openapi_schemas import Schema
from kvot.metadata.rendering import render

_LIMITS: Final = {
    "exclusiveMinimum": "more than {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} long",
}


class TypeText(NamedTuple):
    """`list of AiChatUsageEvent`: what comes before a type, its name, and whether the page describes it."""

    before: str
    name: str
    is_described: bool
    limits: str = ""


class Row(NamedTuple):
    name: str
    place: str
    type: TypeText
    is_required: bool
    description: str


class Reply(NamedTuple):
    status: str
    description: str
    type: TypeText | None


class Shown(NamedTuple):
    """One route of an operation. `id` is the operation's name, but for its further routes."""

    id: str
    name: str
    verb: str
    path: str
    summary: str
    description: str
    parameters: list[Row]
    body: TypeText | None
    replies: list[Reply]


def openapi_page(document: Schema) -> str:
    """A page about a document as `openapi` makes it."""
    groups: dict[str, list[Shown]] = {}
    for tag, shown in _operations(document):
        groups.setdefault(tag, []).append(shown)
    schemas = document["components"]["schemas"]
    return render(
        "openapi.html",
        title=document["info"]["title"],
        version=document["info"]["version"],
        servers=[server["url"] for server in document["servers"]],
        sign_in=document["components"]["securitySchemes"],
        groups=groups,
        types={name: _members(schema) for name, schema in schemas.items()},
    )


def _operations(document: Schema) -> Iterator[tuple[str, Shown]]:
    refusals = document["components"]["responses"]
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            replies = [
                Reply(status, said["description"], _content_type(said))
                for status, each in operation["responses"].items()
                for said in [refusals[_last(each["$ref"])] if "$ref" in each else each]
            ]
            body = operation.get("requestBody")
            yield (
                operation["tags"][0],
                Shown(
                    operation["operationId"],
                    operation["operationId"].partition("_")[0],
                    verb.upper(),
                    path,
                    operation["summary"],
                    operation["description"],
                    [_parameter(each) for each in operation["parameters"]],
                    _content_type(body) if body else None,
                    replies,
                ),
            )


def _parameter(stated: Schema) -> Row:
    return Row(stated["name"], stated["in"], _type(stated["schema"]), stated["required"], stated["description"])


def _members(schema: Schema) -> list[Row]:
    required = schema.get("required", [])
    return [
        Row(name, "", _type(member), name in required, member.get("description", ""))
        for name, member in schema["properties"].items()
    ]


def _content_type(stated: Schema) -> TypeText | None:
    content = stated.get("content")
    return _type(content["application/json"]["schema"]) if content else None


def _type(schema: Schema) -> TypeText:
    if "$ref" in schema:
        return TypeText("", _last(schema["$ref"]), True)
    if schema["type"] == "array":
        return _within("list of ", schema["items"])
    if "additionalProperties" in schema:
        return _within("map of ", schema["additionalProperties"])
    limits = ", ".join(words.format(schema[name]) for name, words in _LIMITS.items() if name in schema)
    return TypeText("", str(schema.get("format", schema["type"])), False, limits)


def _within(before: str, schema: Any) -> TypeText:
    inner = _type(schema)
    return inner._replace(before=before + inner.before)


def _last(address: str) -> str:
    return address.rpartition("/")[2]
