"""`?jsconfig=`: the wishes of one request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo
from kvot.contract.usage import AiChatUsageResponse
from kvot.wire import json, jsonl
from kvot.wire.jsconfig import style_of
from kvot.wire.style import JsonCase, Style

ZEROS = AiChatUsageResponse(
    company_id="00000000-0000-0000-0000-000000000000",
    tokens_used=0,
    token_limit=0,
    tokens_remaining=0,
    is_within_budget=False,
    window_days=1,
)
CAMEL = '{"companyId":"00000000-0000-0000-0000-000000000000","tokensUsed":0,"tokenLimit":0,"tokensRemaining":0,"isWithinBudget":false,"windowDays":1}'  # noqa: E501
PASCAL = '{"CompanyId":"00000000-0000-0000-0000-000000000000","TokensUsed":0,"TokenLimit":0,"TokensRemaining":0,"IsWithinBudget":false,"WindowDays":1}'  # noqa: E501
SNAKE = '{"company_id":"00000000-0000-0000-0000-000000000000","tokens_used":0,"token_limit":0,"tokens_remaining":0,"is_within_budget":false,"window_days":1}'  # noqa: E501


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        ("", CAMEL),
        ("unknown,zzz:1,::,tsh:df,teai", CAMEL),
        ("eccn", CAMEL),
        ("epcn", PASCAL),
        ("EmitPascalCaseNames", PASCAL),
        ("epcn:false", CAMEL),
        ("epcn:0", CAMEL),
        ("epcn:1", PASCAL),
        ("epcn,eccn", CAMEL),
        ("elun", SNAKE),
        ("tc:pc", PASCAL),
        ("TextCase:SnakeCase", SNAKE),
        ("tc:cc", CAMEL),
        ("tc:d", PASCAL),
        ("tc:zzz", CAMEL),
        ("edv", '{"windowDays":1}'),
        ("ExcludeDefaultValues:true,epcn", '{"WindowDays":1}'),
        ("edv:false", CAMEL),
        ("inv", CAMEL[:-1] + ',"responseStatus":null}'),
        ("inv,edv", '{"windowDays":1,"responseStatus":null}'),
        ("edv,pp", '{\n    "windowDays": 1\n}'),
        ("edv,indent", '{\n    "windowDays": 1\n}'),
    ],
)
def test_a_wish_is_met(wish, written):
    assert json.write(ZEROS, style_of(wish, Style())).decode() == written


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        ("dh:to", r'"\/Date(978307200001)\/"'),
        ("dh:dcjsc", r'"\/Date(978307200001)\/"'),
        ("dh:iso8601", '"2001-01-01T00:00:00.0010000Z"'),
        ("dh:ISO8601DateOnly", '"2001-01-01"'),
        ("dh:iso8601dt", '"2001-01-01 00:00:00"'),
        ("dh:rfc1123", '"Mon, 01 Jan 2001 00:00:00 GMT"'),
        ("dh:ut", "978307200"),
        ("DateHandler:UnixTimeMs", "978307200001"),
        ("dh:zzz", r'"\/Date(978307200001)\/"'),
    ],
)
def test_a_moment_is_written_as_wished(wish, written):
    key = ApiKeyInfo(id="k", roles=[], networks=[], created_at=Instant(978_307_200_001))
    assert f'"createdAt":{written}}}'.encode() in json.write(key, style_of(wish, Style()))


def test_a_wish_goes_before_what_the_host_has():
    assert style_of("eccn", Style(JsonCase.PASCAL)) == Style()
    assert style_of("edv", Style(JsonCase.PASCAL)) == Style(JsonCase.PASCAL, exclude_defaults=True)


def test_json_lines_stay_lines():
    assert jsonl.write(ZEROS, style_of("pp,edv", Style())) == b'{"windowDays":1}\n'


def test_an_endless_wish_is_cut():
    assert style_of("x," * 100_000 + "edv", Style()) == Style()


@given(st.text() | st.lists(st.sampled_from(["eccn", "tc:", "dh:", "inv", ":", ",", "false", "ut", "sc"])).map("".join))
def test_any_wish_gives_a_style(text):
    assert isinstance(style_of(text, Style()), Style)
