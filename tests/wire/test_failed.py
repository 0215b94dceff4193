"""What a response type says when its operation failed."""

import pytest

from kvot.contract import ROUTES
from kvot.contract.describe import members_of
from kvot.contract.holds import AiChatHoldResponse
from kvot.contract.keys import ApiKeyQueryResponse
from kvot.contract.status import ResponseStatus
from kvot.contract.usage import AiChatUsageReportResponse, AiChatUsageResponse
from kvot.wire.failed import failed
from kvot.wire.formats import FORMATS
from kvot.wire.jsconfig import style_of
from kvot.wire.style import JsonCase, Style

STATUS = ResponseStatus(error_code="C", message="because", errors=[])
HOUSE = Style()
ZEROS = "00000000-0000-0000-0000-000000000000"
JSON_STATUS = '"responseStatus":{"errorCode":"C","message":"because","errors":[]}}'
JSV_STATUS = "ResponseStatus:{ErrorCode:C,Message:because,Errors:[]}}"
JSON = (
    '{"tokensUsed":0,"tokenLimit":0,"tokensRemaining":0,"isWithinBudget":false,"windowDays":0,' + JSON_STATUS
)  # as the contract has it


def written(struct, key, style=HOUSE):
    return FORMATS[key].write(failed(struct, STATUS), style).decode()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("json", JSON),
        ("jsonl", JSON + "\n"),
        ("jsv", "{TokensUsed:0,TokenLimit:0,TokensRemaining:0,IsWithinBudget:False,WindowDays:0," + JSV_STATUS),
        (
            "csv",
            "CompanyId,TokensUsed,TokenLimit,TokensRemaining,IsWithinBudget,WindowDays,ResponseStatus\r\n"
            f'{ZEROS},0,0,0,False,0,"{{{JSV_STATUS.removeprefix("ResponseStatus:{").removesuffix("}")}"\r\n',
        ),
    ],
)
def test_members_hold_their_defaults(key, text):
    assert written(AiChatUsageResponse, key) == text


def test_in_xml_no_member_of_a_value_type_is_nil():
    text = written(AiChatUsageReportResponse, "xml")
    assert f"><CompanyId>{ZEROS}</CompanyId><IsWithinBudget>false</IsWithinBudget>" in text
    assert "<d2p1:ErrorCode>C</d2p1:ErrorCode>" in text


def test_a_list_is_empty_and_the_status_stands_beside_it():
    assert written(ApiKeyQueryResponse, "json") == '{"results":[],' + JSON_STATUS
    assert written(ApiKeyQueryResponse, "jsonl") == '{"results":[],' + JSON_STATUS + "\n"
    assert written(ApiKeyQueryResponse, "csv").startswith('Results,ResponseStatus\r\n"[]",')


@pytest.mark.parametrize("key", FORMATS)
def test_a_moment_that_is_none_is_written_as_no_date(key):
    text = FORMATS[key].write(failed(AiChatHoldResponse, STATUS), HOUSE).decode("utf-8", "replace")
    assert "0001-01-01" not in text
    assert ("oldCreatedAt" in text) == (key == "csv")  # whose header names every column


@pytest.mark.parametrize("wish", ["epcn", "elun", "pp", "inv", "dh:iso8601"])
def test_no_guid_is_left_out_in_every_style(wish):
    assert ZEROS not in written(AiChatUsageReportResponse, "json", style_of(wish, Style()))


def test_defaults_can_be_left_out_too():
    text = written(AiChatUsageResponse, "json", style_of("edv,epcn", Style(JsonCase.CAMEL)))
    assert text == '{"ResponseStatus":{"ErrorCode":"C","Message":"because","Errors":[]}}'


@pytest.mark.parametrize("key", FORMATS)
@pytest.mark.parametrize("operation", ROUTES, ids=lambda each: each.name)
def test_every_response_can_say_that_it_failed(operation, key):
    assert "because" in FORMATS[key].write(failed(operation.response, STATUS), Style()).decode("utf-8", "replace")
    type_ = type(failed(operation.response, STATUS))
    names = [(each.name, each.clr) for each in members_of(type_)]
    assert names == [(each.name, each.clr) for each in members_of(operation.response)]
