"""What programs may ask of the service itself."""

import json

import pytest

from kvot.contract import ROUTES
from kvot.metadata.app import app_metadata, operations_metadata, types_links, types_metadata
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.model import model_of
from kvot.wire.formats import FORMATS
from tests.metadata.golden import BASE_URL

MODEL = model_of()
TYPES = types_metadata(MODEL, BASE_URL)


def operation(name):
    return next(each for each in TYPES["operations"] if each["request"]["name"] == name)


def test_the_operation_as_the_contract_has_it():
    usage = operation("GetAiChatUsage")
    assert usage["method"] == "GET"
    assert usage["actions"] == ["ANY"]
    assert usage["requiresAuth"] is True
    assert usage["returnType"] == {"name": "AiChatUsageResponse", "namespace": "BokaMera.API.ServiceModel.Dtos"}
    assert usage["routes"][0]["path"] == "/assistant/ai-chat/usage"
    assert "requiredRoles" not in usage


def test_one_role_is_required_and_of_several_any():
    assert operation("CreateApiKey")["requiredRoles"] == ["superadmin"]
    assert operation("ImportAiChatUsage")["requiresAnyRole"] == ["superadmin", "usage-writer"]


def test_members_bear_the_names_of_the_clr():
    members = {member["name"]: member for member in operation("GetAiChatUsage")["request"]["properties"]}
    assert members["CompanyId"]["type"] == "Nullable`1"
    assert members["CompanyId"]["genericArgs"] == ["Guid"]
    assert members["CompanyId"]["paramType"] == "query"
    roles = next(m for m in operation("CreateApiKey")["request"]["properties"] if m["name"] == "Roles")
    assert (roles["type"], roles["genericArgs"]) == ("List`1", ["String"])


def test_what_says_nothing_is_left_out():
    text = json.dumps(app_metadata(MODEL, BASE_URL, "/Date(0)/"))
    for nothing in ("null", "false", "[]", '""'):
        assert nothing not in text


@pytest.mark.parametrize(("case", "told"), [("camel", "CamelCase"), ("pascal", "Default")])
def test_the_casing_is_told(case, told):
    assert app_metadata(MODEL, BASE_URL, "/Date(0)/", case)["app"]["jsTextCase"] == told


def test_every_language_is_linked():
    links = types_links(BASE_URL)
    assert set(links.values()) == {f"{BASE_URL}/types/{key}" for key in (*LANGUAGES, "metadata")}


def test_every_operation_is_listed_once():
    assert [each.name for each in operations_metadata()] == [operation.name for operation in ROUTES]


def test_what_the_client_brings_along_is_not_listed_as_ours():
    assert {"AiChatUsageResponse", "ICompany"} <= {each["name"] for each in TYPES["types"]}
    assert not {"ResponseStatus", "ResponseError"} & {each["name"] for each in TYPES["types"]}
    members = {member["name"]: member for member in operation("GetAiChatUsage")["response"]["properties"]}
    assert (members["ResponseStatus"]["namespace"], members["TokensUsed"]["namespace"]) == ("ServiceStack", "System")


def test_a_list_is_of_the_collections_of_the_clr():
    events = operation("ImportAiChatUsage")["request"]["properties"]
    assert [each["namespace"] for each in events if each["type"] == "List`1"] == ["System.Collections.Generic"]


def test_every_format_is_told_with_its_content_type():
    told = app_metadata(MODEL, BASE_URL, "")["contentTypeFormats"]
    assert (told["json"], told["jsv"]) == ("application/json", "text/jsv")
    assert set(told) == set(FORMATS)
