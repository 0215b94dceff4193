"""The OpenAPI 3.1 document: the routes of the contract, their types, and who may call them.

It describes JSON alone, with the routes that have a path of their own; errors also as problems, for whoever asks for
those. Everything else in it follows from the contract.
"""

from typing import Final

from kvot.contract import ROUTES
from kvot.contract.describe import Operation, Route
from kvot.metadata.model import DtoMember, Model
from kvot.metadata.openapi_schemas import (
    Schema,
    error_schema,
    member_schema,
    object_schema,
    problem_schemas,
    reference,
    ruled,
)
from kvot.metadata.parameters import parameter_place

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SECURITY: Final[Schema] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token, or an API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_REFUSALS: Final = {
    "400": "The request is wrong. Its errors name each member that is.",
    "401": "Nobody has signed in, or the credentials are not valid.",
    "403": "The caller may not do this, or not for this company.",
    "default": "Any other failure, in the same shape.",
}
_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same request with the same key counts once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
"""Bounds as an id in the ledger has them, which is what becomes of it."""

_BODY_VERBS: Final = frozenset({"POST", "PUT", "PATCH"})


def openapi(model: Model, base_url: str, version: str, operations: tuple[Operation, ...] = ROUTES) -> Schema:
    """The document. `version`: that of the service."""
    paths: dict[str, Schema] = {}
    for operation in operations:
        for position, route in enumerate(operation.routes):
            item = paths.setdefault(_path(route, operation, model), {})
            item[route.verb.lower()] = _operation(operation, route, model, position)
    tags = dict.fromkeys(tag for operation in operations for tag in _tags(operation))
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": _DIALECT,
        "info": {"title": model.host.service_name, "version": version},
        "servers": [{"url": base_url}],
        "security": [{name: []} for name in _SECURITY],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {dto.name: object_schema(dto, model) for dto in model.dtos if not dto.is_interface}
            | error_schema(model)
            | problem_schemas(),
            "responses": {name: _refusal(text) for name, text in _REFUSALS.items()},
        },
    }


def _path(route: Route, operation: Operation, model: Model) -> str:
    """The path with its variables named as the parameters are."""
    path = route.path
    for member in _members(operation, model):
        path = path.replace(f"{{{member.name}}}", f"{{{member.json_name}}}")
    return path


def _members(operation: Operation, model: Model) -> tuple[DtoMember, ...]:
    dto = model.named(operation.name)
    return dto.members if dto else ()


def _tags(operation: Operation) -> list[str]:
    """Those that the contract gives, or else where the operation lives: `assistant`, `apikeys`."""
    return list(operation.tags) or [operation.routes[0].path.split("/")[1]]


def _operation(operation: Operation, route: Route, model: Model, position: int) -> Schema:
    """`position`: of the route among those of the operation. An id stands for one of them."""
    described: Schema = {
        "operationId": f"{operation.name}_{position + 1}" if position else operation.name,
        "tags": _tags(operation),
        "summary": route.summary,
        "description": _described(operation, route),
        "parameters": [
            _parameter(member, place, model)
            for member in _members(operation, model)
            if (place := parameter_place(member, operation)) != "body"
        ]
        + [_KEY] * operation.is_keyed,
        "responses": {
            "200" if operation.response else "204": _success(operation),
            **{name: {"$ref": f"#/components/responses/{name}"} for name in _REFUSALS},
        },
    }
    if route.verb in _BODY_VERBS:
        described["requestBody"] = {
            "content": {"application/json": {"schema": reference(operation.name)}},
            "required": _needs_body(operation, model),
        }
    return described


def _needs_body(operation: Operation, model: Model) -> bool:
    """Whether anything that has to be said is said in the body."""
    return any(
        member.source is not None and member.source.is_required and parameter_place(member, operation) == "body"
        for member in _members(operation, model)
    )


def _described(operation: Operation, route: Route) -> str:
    roles = f"Needs any of the roles: {', '.join(operation.roles)}." if operation.roles else ""
    return " ".join(text for text in (route.notes, roles) if text)


def _success(operation: Operation) -> Schema:
    if operation.response is None:
        return {"description": "Done."}
    return {
        "description": "Done.",
        "content": {"application/json": {"schema": reference(operation.response.__name__)}},
    }


def _refusal(text: str) -> Schema:
    return {
        "description": text,
        "content": {
            "application/json": {"schema": reference("ErrorResponse")},
            "application/problem+json": {"schema": reference("Problem")},
        },
    }


def _parameter(member: DtoMember, place: str, model: Model) -> Schema:
    return {
        "name": member.json_name,
        "in": place,
        "required": place == "path" or (member.source is not None and member.source.is_required),
        "description": member.description or "",
        "schema": ruled(member_schema(member, model), member.source),
    }
