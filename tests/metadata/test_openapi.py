"""The OpenAPI document describes what the contract has, and is valid."""

import json
from dataclasses import replace

import pytest

from kvot.contract import ROUTES
from kvot.metadata.model import model_of
from kvot.metadata.openapi import openapi
from tests.metadata import tools
from tests.metadata.golden import BASE_URL
from tests.metadata.languages.odd import OPERATIONS

DOCUMENT = openapi(model_of(), BASE_URL, "0.1.0")
VALIDATE = """
import json
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
with open("openapi.json") as file:
    document = json.load(file)
OpenAPIV31SpecValidator(document).validate()
checked = 0
for schema in document["components"]["schemas"].values():
    for example in schema["examples"]:
        resolvable = {**schema, "components": document["components"]}
        checker = Draft202012Validator(resolvable, format_checker=Draft202012Validator.FORMAT_CHECKER)
        checker.validate(example)
        checked += 1
assert checked > 20, checked
"""


def operation(verb, path):
    return DOCUMENT["paths"][path][verb]


@pytest.mark.parametrize("case", ["camel", "pascal"])
def test_the_document_and_its_examples_are_valid(tmp_path, case):
    (tmp_path / "openapi.json").write_text(json.dumps(openapi(model_of(json_case=case), BASE_URL, "0.1.0")))
    (tmp_path / "check.py").write_text(VALIDATE)
    tools.run(tools.python(), "check.py", cwd=tmp_path)


def test_every_route_is_described_once():
    described = {item["operationId"] for path in DOCUMENT["paths"].values() for item in path.values()}
    assert described == {operation.name for operation in ROUTES}


def test_operations_are_grouped_by_tag_or_by_where_they_live():
    grouped = {item["operationId"]: item["tags"] for path in DOCUMENT["paths"].values() for item in path.values()}
    assert (grouped["GetAiChatUsage"], grouped["RevokeApiKey"]) == (["assistant"], ["apikeys"])
    tagged = openapi(model_of(), BASE_URL, "0.1.0", (replace(ROUTES[0], tags=("ai", "usage")),))
    assert tagged["paths"]["/assistant/ai-chat/usage"]["get"]["tags"] == ["ai", "usage"]


@pytest.mark.parametrize("operations", [ROUTES, OPERATIONS], ids=["ours", "odd"])
def test_every_tag_is_declared_once_and_every_id_stands_for_one_route(operations):
    document = openapi(model_of(operations), BASE_URL, "0.1.0", operations)
    routes = [item for path in document["paths"].values() for item in path.values()]
    assert [tag["name"] for tag in document["tags"]] == list(dict.fromkeys(t for item in routes for t in item["tags"]))
    assert len({item["operationId"] for item in routes}) == len(routes) == sum(len(o.routes) for o in operations)


def test_two_operations_share_a_path():
    assert set(DOCUMENT["paths"]["/assistant/ai-chat/usage"]) == {"get", "post"}


def test_a_variable_of_the_path_is_a_parameter():
    (parameter,) = operation("delete", "/apikeys/{id}")["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("id", "path", True)


def test_rules_are_limits():
    properties = DOCUMENT["components"]["schemas"]["UpdateAiChatBudget"]["properties"]
    assert (properties["windowDays"]["minimum"], properties["windowDays"]["maximum"]) == (1, 36_500)
    recorded = DOCUMENT["components"]["schemas"]["RecordAiChatUsage"]
    assert recorded["properties"]["tokensUsed"]["exclusiveMinimum"] == 0
    assert recorded["required"] == ["tokensUsed"]


def test_every_operation_may_refuse_in_the_one_shape():
    for path in DOCUMENT["paths"].values():
        for item in path.values():
            assert {"400", "401", "403", "default"} < set(item["responses"])


def test_a_token_or_a_key_signs_in():
    assert DOCUMENT["security"] == [{"bearer": []}, {"apiKey": []}]


def test_what_the_idempotency_key_makes_safe_says_so():
    keyed = {
        item["operationId"]
        for path in DOCUMENT["paths"].values()
        for item in path.values()
        if any((each["name"], each["in"]) == ("Idempotency-Key", "header") for each in item["parameters"])
    }
    assert keyed == {"RecordAiChatUsage", "CorrectAiChatUsage", "ReserveAiChatTokens", "ImportAiChatUsage"}


@pytest.mark.parametrize(
    ("verb", "path", "is_required"),
    [
        ("post", "/assistant/ai-chat/usage", True),
        ("post", "/assistant/ai-chat/holds", True),
        ("post", "/apikeys", False),
    ],
)
def test_a_body_is_required_where_something_in_it_is(verb, path, is_required):
    assert operation(verb, path)["requestBody"]["required"] is is_required
