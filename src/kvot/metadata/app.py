"""What programs may ask of the service itself: `/metadata/app.json`, `/types`, `/types/metadata`,
`/operations/metadata`. Plain values in the shape of ServiceStack's AppMetadata; what is null or false is left out.
"""

from typing import Any, Final

import msgspec

from kvot.contract import ROUTES
from kvot.contract.describe import Operation, Response
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.model import BUILT_IN, Attribute, Dto, DtoMember, JsonCase, Model, verb_of
from kvot.metadata.parameters import is_required
from kvot.wire.formats import FORMATS

Fields = dict[str, Any]

_CONTENT_TYPES: Final = {key: format_.content_type.partition(";")[0] for key, format_ in FORMATS.items()}
_SERVICESTACK: Final = "ServiceStack"
"""The namespace of what the client libraries bring along."""

_TYPE_LINKS: Final = {
    "csharp": "CSharp",
    "fsharp": "FSharp",
    "vbnet": "VbNet",
    "typescript": "TypeScript",
    "typescript.d": "TypeScriptDefinition",
    "js": "CommonJs",
    "mjs": "Mjs",
    "php": "Php",
    "dart": "Dart",
    "java": "Java",
    "kotlin": "Kotlin",
    "swift": "Swift",
    "python": "Python",
    "ruby": "Ruby",
    "go": "Go",
    "rust": "Rust",
    "zig": "Zig",
}


class OperationRoute(Response):
    path: str
    verbs: str


class OperationDto(Response, kw_only=True):
    """An operation as `/operations/metadata` lists it, in any format."""

    name: str
    response_name: str | None = None
    service_name: str
    actions: list[str]
    routes: list[OperationRoute]
    tags: list[str] | None = None


def app_metadata(
    model: Model,
    base_url: str,
    date: str | msgspec.Raw,
    json_case: JsonCase = "camel",
    operations: tuple[Operation, ...] = ROUTES,
) -> Fields:
    """`/metadata/app.json`. `date`: the moment it is made, as the host writes dates in JSON."""
    return {
        "date": date,
        "app": {
            "baseUrl": base_url,
            "serviceStackVersion": model.host.generator_version,
            "serviceName": model.host.service_name,
            "jsTextCase": "CamelCase" if json_case == "camel" else "Default",
        },
        "contentTypeFormats": dict(_CONTENT_TYPES),
        "httpHandlers": {"ApiHandlers.Json": "/api/{Request}"},
        "api": types_metadata(model, base_url, operations),
    }


def types_metadata(model: Model, base_url: str, operations: tuple[Operation, ...] = ROUTES) -> Fields:
    """`/types/metadata`: the types that are ours and no request, and the operations with their request and response."""
    return {
        "config": {"baseUrl": base_url},
        "namespaces": [model.host.dto_namespace],
        "types": [_type(dto, model) for dto in model.dtos if dto.operation is None and dto.name not in BUILT_IN],
        "operations": [_operation(operation, model) for operation in operations],
    }


def types_links(base_url: str) -> Fields:
    """`/types`: where the classes of each language are."""
    links = {name: f"{base_url}/types/{key}" for key, name in _TYPE_LINKS.items() if key in LANGUAGES}
    return {"Metadata": f"{base_url}/types/metadata", **links}


def operations_metadata(operations: tuple[Operation, ...] = ROUTES) -> list[OperationDto]:
    """`/operations/metadata`."""
    return [
        OperationDto(
            name=operation.name,
            response_name=operation.response.__name__ if operation.response else None,
            service_name=operation.name,
            actions=_actions(operation),
            routes=[OperationRoute(path=route.path, verbs=route.verb) for route in operation.routes],
            tags=list(operation.tags) or None,
        )
        for operation in operations
    ]


def _operation(operation: Operation, model: Model) -> Fields:
    request = model.named(operation.name)
    response = model.named(operation.response.__name__) if operation.response else None
    return _stated(
        {
            "request": _type(request, model) if request else None,
            "response": _type(response, model) if response else None,
            "actions": _actions(operation),
            "returnsVoid": response is None,
            "method": verb_of(operation),
            "returnType": _named(response, model) if response else None,
            "routes": [
                _stated({"path": route.path, "verbs": route.verb, "notes": route.notes, "summary": route.summary})
                for route in operation.routes
            ],
            "requiresAuth": True,
            "requiredRoles": list(operation.roles) if len(operation.roles) == 1 else [],
            "requiresAnyRole": list(operation.roles) if len(operation.roles) > 1 else [],
            "tags": list(operation.tags),
        }
    )


def _actions(operation: Operation) -> list[str]:
    return ["ANY"] if operation.api_verbs is None else sorted(operation.api_verbs)


def _named(dto: Dto, model: Model) -> Fields:
    return {"name": dto.name, "namespace": model.host.dto_namespace}


def _type(dto: Dto, model: Model) -> Fields:
    return _stated(
        {
            **_named(dto, model),
            "implements": [{"name": name, "namespace": model.host.dto_namespace} for name in dto.implements],
            "isInterface": dto.is_interface,
            "properties": [_property(member, model) for member in dto.members],
            "attributes": [_attribute(attribute) for attribute in dto.attributes],
        }
    )


def _property(member: DtoMember, model: Model) -> Fields:
    name, generic = _clr_type(member)
    return _stated(
        {
            "name": member.name,
            "type": name,
            "namespace": _namespace(member, model),
            "isValueType": member.is_value_type,
            "genericArgs": generic,
            "description": member.description,
            "paramType": member.source.parameter_type if member.source else None,
            "displayType": member.source.data_type if member.source else None,
            "isRequired": is_required(member),
            "attributes": [_attribute(attribute) for attribute in member.attributes],
        }
    )


def _namespace(member: DtoMember, model: Model) -> str:
    if member.is_list or member.is_map:
        return "System.Collections.Generic"
    if member.clr in BUILT_IN:
        return _SERVICESTACK
    return "System" if model.named(member.clr) is None else model.host.dto_namespace


def _clr_type(member: DtoMember) -> tuple[str, list[str]]:
    """The CLR's own name of a type, and its arguments: ``Nullable`1`` of Guid."""
    if member.is_map:
        return "Dictionary`2", ["String", member.clr]
    if member.is_list:
        return "List`1", [member.clr]
    return ("Nullable`1", [member.clr]) if member.is_value_type and member.is_optional else (member.clr, [])


def _attribute(attribute: Attribute) -> Fields:
    return {
        "name": attribute.name,
        "args": [
            {"name": name, "type": _ARGUMENT_TYPES[type(value)], "value": _text(value)}
            for name, value in attribute.arguments
        ],
    }


_ARGUMENT_TYPES: Final[dict[type, str]] = {str: "String", int: "Int32", bool: "Boolean"}


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stated(fields: Fields) -> Fields:
    """The fields without those that say nothing."""
    return {name: value for name, value in fields.items() if value not in (None, False, "", [])}
