"""The JSON Schemas of the contract's types, each with an example that meets it."""

from typing import Any, Final

from kvot.contract.describe import Member, Rule
from kvot.metadata.model import Dto, DtoMember, Model

Schema = dict[str, Any]

_SCALARS: Final[dict[str, Schema]] = {
    "String": {"type": "string"},
    "Guid": {"type": "string", "format": "uuid"},
    "Int32": {"type": "integer", "format": "int32"},
    "Int64": {"type": "integer", "format": "int64"},
    "Double": {"type": "number", "format": "double"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string"},
}
_EXAMPLES: Final[dict[str, Any]] = {
    "String": "String",
    "Guid": "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f",
    "Int32": 30,
    "Int64": 120,
    "Double": 0.5,
    "Boolean": True,
    "DateTime": "/Date(1767225600000)/",
}
"""A moment is its milliseconds since 1970."""


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(dto: Dto, model: Model) -> Schema:
    """The type as an object. Members are required unless they may be missing, as a status is from a good reply."""
    schema: Schema = {
        "type": "object",
        "properties": {member.json_name: _property(member, model) for member in dto.members},
        "examples": [_example(dto, model)],
    }
    required = [member.json_name for member in dto.members if _is_required(member)]
    return {**schema, "required": required} if required else schema


def error_schema(model: Model) -> dict[str, Schema]:
    """The body of a refusal: a status and nothing else, named as in every reply."""
    status = next(member for dto in model.dtos for member in dto.members if member.clr == "ResponseStatus")
    refusal = {"ErrorCode": "Unauthorized", "Message": "Not Authenticated", "Errors": []}
    named = model.named(status.clr)
    example = (
        {member.json_name: refusal[member.name] for member in named.members if member.name in refusal} if named else {}
    )
    return {
        "ErrorResponse": {
            "type": "object",
            "properties": {status.json_name: reference(status.clr)},
            "required": [status.json_name],
            "examples": [{status.json_name: example}],
        }
    }


def problem_schemas() -> dict[str, Schema]:
    """A refusal as a problem (RFC 9457). Its members are named so whatever the names of ours are."""
    text, texts = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "Problem": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": text,
                "status": {"type": "integer", "format": "int32"},
                "detail": text,
                "errorCode": text,
                "errors": {"type": "array", "items": reference("ProblemError")},
                "meta": texts,
                "violated-policies": {"type": "array", "items": text},
            },
            "required": ["type", "title", "status", "detail", "errorCode"],
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unauthorized",
                    "status": 401,
                    "detail": "Not Authenticated",
                    "errorCode": "Unauthorized",
                }
            ],
        },
        "ProblemError": {
            "type": "object",
            "properties": {"errorCode": text, "fieldName": text, "message": text, "meta": texts},
            "required": ["errorCode", "fieldName", "message"],
            "examples": [{"errorCode": "NotEmpty", "fieldName": "By", "message": "'By' must not be empty."}],
        },
    }


def member_schema(member: DtoMember, model: Model) -> Schema:
    scalar = reference(member.clr) if model.named(member.clr) else dict(_SCALARS[member.clr])
    if member.is_map:
        return {"type": "object", "additionalProperties": scalar}
    return {"type": "array", "items": scalar} if member.is_list else scalar


def ruled(schema: Schema, member: Member | None) -> Schema:
    """The schema with what the member's rules ask for."""
    for rule in member.rules if member else ():
        schema = {**schema, **_limits(rule, schema)}
    return schema


def _property(member: DtoMember, model: Model) -> Schema:
    schema = ruled(member_schema(member, model), member.source)
    return {**schema, "description": member.description} if member.description else schema


def _is_required(member: DtoMember) -> bool:
    return not member.is_optional and member.clr != "ResponseStatus"


def _limits(rule: Rule, schema: Schema) -> Schema:
    match rule.code:
        case "GreaterThan":
            return {"exclusiveMinimum": rule.bounds["ComparisonValue"]}
        case "InclusiveBetween":
            return {"minimum": rule.bounds["From"], "maximum": rule.bounds["To"]}
        case "NotEmpty" if schema.get("type") == "string":
            return {"minLength": 1}
    return {}


def _example(dto: Dto, model: Model) -> Schema:
    return {member.json_name: _example_value(member, model) for member in dto.members if _is_required(member)}


def _example_value(member: DtoMember, model: Model) -> Any:
    referred = model.named(member.clr)
    value = _example(referred, model) if referred else _EXAMPLES[member.clr]
    if member.is_map:
        return {"name": value}
    return [value] if member.is_list else value
