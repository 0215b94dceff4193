"""The sample messages of an operation page."""

import json
from xml.etree import ElementTree

import pytest

from kvot.contract import OPERATIONS, ROUTES
from kvot.metadata.model import model_of
from kvot.metadata.samples import SAMPLE_FORMATS, sample_of

MODEL = model_of()
DTOS = "{http://schemas.datacontract.org/2004/07/BokaMera.API.ServiceModel.Dtos}"
TYPES = "{http://schemas.servicestack.net/types}"
ARRAYS = "{http://schemas.microsoft.com/2003/10/Serialization/Arrays}"


def sample(name, key, model=MODEL):
    return sample_of(OPERATIONS[name.lower()], SAMPLE_FORMATS[key], model, "api.bookmore.com")


def body(message):
    return message.partition("\n\n")[2]


def test_a_reply_in_json_is_one_line_without_the_company():
    status = (
        '{"errorCode":"String","message":"String","stackTrace":"String","errors":[{"errorCode":"String",'
        '"fieldName":"String","message":"String","meta":{"String":"String"}}],"meta":{"String":"String"}}'
    )
    assert body(sample("GetAiChatUsage", "json").response) == (
        '{"tokensUsed":0,"tokenLimit":0,"tokensRemaining":0,"isWithinBudget":false,"windowDays":0,'
        f'"responseStatus":{status}}}'
    )


def test_a_request_shows_a_guid_of_zeros():
    assert body(sample("RecordAiChatUsage", "json").request) == (
        '{"companyId":"00000000-0000-0000-0000-000000000000","tokensUsed":0}'
    )


@pytest.mark.parametrize("key", ["csv", "jsonl"])
def test_samples_of_csv_and_json_lines_are_json(key):
    for kind in ("request", "response"):
        as_json = body(getattr(sample("RecordAiChatUsage", "json"), kind))
        assert body(getattr(sample("RecordAiChatUsage", key), kind)) == as_json


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: operation.name)
def test_json_samples_are_json(operation):
    for message in (sample(operation.name, "json").request, sample(operation.name, "json").response):
        assert not body(message) or isinstance(json.loads(body(message)), dict)


def test_json_names_follow_the_host_and_jsv_names_do_not():
    pascal = model_of(json_case="pascal")
    assert '"TokensUsed":0' in sample("RecordAiChatUsage", "json", pascal).request
    for model in (MODEL, pascal):
        assert "TokensUsed: 0" in sample("RecordAiChatUsage", "jsv", model).request


def test_a_post_states_its_body_and_a_get_has_none():
    posted = sample("RecordAiChatUsage", "xml").request.splitlines()
    assert posted[:6] == [
        "POST /assistant/ai-chat/usage HTTP/1.1 ",
        "Host: api.bookmore.com ",
        "Accept: application/xml",
        "Content-Type: application/xml",
        "Content-Length: length",
        "",
    ]
    assert sample("GetAiChatUsage", "xml").request.splitlines() == [
        "GET /assistant/ai-chat/usage HTTP/1.1 ",
        "Host: api.bookmore.com ",
        "Accept: application/xml",
    ]


def test_xml_members_are_in_ordinal_order_with_the_company():
    root = ElementTree.fromstring(body(sample("GetAiChatUsage", "xml").response))
    names = [child.tag.removeprefix(DTOS) for child in root]
    assert names == sorted(names)
    assert root.findtext(f"{DTOS}CompanyId") == "00000000-0000-0000-0000-000000000000"


def test_a_status_in_xml_lies_in_the_namespace_of_its_library_and_keeps_its_order():
    root = ElementTree.fromstring(body(sample("GetAiChatUsage", "xml").response))
    status = root.find(f"{DTOS}ResponseStatus")
    assert status is not None
    assert [child.tag for child in status] == [
        f"{TYPES}{name}" for name in ("ErrorCode", "Message", "StackTrace", "Errors", "Meta")
    ]
    pairs = status.findall(f"{TYPES}Errors/{TYPES}ResponseError/{TYPES}Meta/{ARRAYS}KeyValueOfstringstring")
    assert [pair.findtext(f"{ARRAYS}Key") for pair in pairs] == ["String"]


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: operation.name)
def test_xml_samples_are_xml(operation):
    for message in (sample(operation.name, "xml").request, sample(operation.name, "xml").response):
        assert not body(message) or ElementTree.fromstring(body(message)).tag.startswith(DTOS)


def test_lists_hold_one_element():
    imported = json.loads(body(sample("ImportAiChatUsage", "json").request))
    assert [event["id"] for event in imported["events"]] == ["String"]
    listed = ElementTree.fromstring(body(sample("ApiKeyQuery", "xml").response))
    assert listed.findtext(f"{DTOS}Results/{DTOS}ApiKeyInfo/{DTOS}Roles/{ARRAYS}string") == "String"
    assert "Roles: \n\t\t\t[\n\t\t\t\tString\n\t\t\t]," in sample("ApiKeyQuery", "jsv").response
