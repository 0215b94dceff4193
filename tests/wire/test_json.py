"""JSON as the contract writes it, and all that it reads."""

import json as stdlib_json
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo, ApiKeyQueryResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire import json
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.style import JsonCase, Style
from tests.wire.samples import RESPONSES, USAGE

CAMEL, PASCAL = Style(), Style(JsonCase.PASCAL)
KEY = ApiKeyInfo(id="k", roles=[], networks=["10.0.0.0/8"], created_at=Instant(978_307_200_000))


def status(**more):
    return ErrorResponse(response_status=ResponseStatus(error_code="E", message="m", **more))


@pytest.mark.parametrize(
    ("value", "style", "written"),
    [
        (
            USAGE,
            CAMEL,
            '{"companyId":"2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f","tokensUsed":120,"tokenLimit":1000,'
            '"tokensRemaining":880,"isWithinBudget":true,"windowDays":30}',
        ),
        (
            USAGE,
            PASCAL,
            '{"CompanyId":"2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f","TokensUsed":120,"TokenLimit":1000,'
            '"TokensRemaining":880,"IsWithinBudget":true,"WindowDays":30}',
        ),
        (status(errors=[]), CAMEL, '{"responseStatus":{"errorCode":"E","message":"m","errors":[]}}'),
        (
            status(errors=[ResponseError(error_code="C", field_name="F", message="x", meta={"PropertyName": "F"})]),
            PASCAL,
            '{"ResponseStatus":{"ErrorCode":"E","Message":"m","Errors":'
            '[{"ErrorCode":"C","FieldName":"F","Message":"x","Meta":{"PropertyName":"F"}}]}}',
        ),
        (
            ApiKeyQueryResponse(results=[KEY]),
            CAMEL,
            r'{"results":[{"id":"k","roles":[],"networks":["10.0.0.0/8"],"createdAt":"\/Date(978307200000)\/"}]}',
        ),
        (
            ApiKeyQueryResponse(results=[KEY]),
            PASCAL,
            r'{"Results":[{"Id":"k","Roles":[],"Networks":["10.0.0.0/8"],"CreatedAt":"\/Date(978307200000)\/"}]}',
        ),
        (
            status(errors=[], meta={"k": 'å/<"\\\n\x01'}),
            CAMEL,
            '{"responseStatus":{"errorCode":"E","message":"m","errors":[],"meta":{"k":"å/<\\"\\\\\\n\\u0001"}}}',
        ),
    ],
)
def test_a_value_is_written(value, style, written):
    assert json.write(value, style).decode() == written


@given(RESPONSES, st.sampled_from([CAMEL, PASCAL]))
def test_what_is_written_reads_as_itself(value, style):
    assert struct_from(type(value), json.read(json.write(value, style), MEMBERS_MAX)) == value


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("", None),
        ("  \r\n", None),
        ("\ufeff", None),
        ('\ufeff{"a":1}', {"a": "1"}),
        (' { "a" : [ 1 , null ] } ', {"a": [1, None]}),
        ('{"Int":,"B":2}', {"Int": "", "B": "2"}),
        ('{"a":007}', {"a": "007"}),
        ("{a:b c,d:true,e:null}", {"a": "b c", "d": True, "e": None}),
        ('{"a":[x,"y,z"]}', {"a": ["x", "y,z"]}),
        ('{"a":1,}', {"a": "1"}),
        ('{"a":"x\\q\\u00e5\\n",}', {"a": "xqå\n"}),
        (r'{a:"\ud83d\ude00"}', {"a": "😀"}),
        (r'{a:"\ud83dx"}', {"a": "\N{REPLACEMENT CHARACTER}x"}),
        ('{"a":1e400}', {"a": "1e400"}),
        ('{"a":NaN}', {"a": "NaN"}),
        ('{"a":{b:{}},"c":[]}', {"a": {"b": {}}, "c": []}),
    ],
)
def test_a_body_is_read_leniently(text, document):
    assert json.read(text.encode(), MEMBERS_MAX) == document


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a":1', "A '}' is missing at the end."),
        (b'{"a" 1}', "Expected ':' at character 5."),
        (b'{"a":1}}', "Unexpected text after the document at character 7."),
        (b'{"a":"b', "A string does not end."),
        (b'{"a":"b\\', "A string does not end."),
        (b"tokens", "Expected '{'."),
        (b'{"a":[1,2}', "A ']' is missing at the end."),
        (b'{"a":"\xff"}', "It is not UTF-8: byte 6 cannot be read."),
        (b"\xff\xfe{", "It is not UTF-8: byte 0 cannot be read."),
        (b'{a:"\\u12"}', "The escape at character 4 is not \\u and four hexadecimal digits."),
        (b'{"a":' * 10_000, "It nests more than 64 levels."),
        (b"[" * 1_000_000, "It nests more than 64 levels."),
        (b"{a:" * 10_000, "It nests more than 64 levels."),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "It nests more than 64 levels."),
        (b'{"a":[' + b"1," * 10_000 + b"1]}", "It has more than 10000 members."),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(body, message):
    with pytest.raises(Malformed) as refused:
        json.read(body, MEMBERS_MAX)
    assert str(refused.value) == message


def test_what_is_within_the_bounds_is_read():
    assert json.read(b'{"a":' * 64 + b"1" + b"}" * 64, MEMBERS_MAX)
    assert json.read(b'{"a":[' + b"1," * 9_998 + b"1]}", MEMBERS_MAX)


def test_depth_is_bounded_whatever_the_recursion_limit():
    """msgspec alone would overflow the stack here, and take the process with it."""
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1_000_000)
        with pytest.raises(Malformed, match="nests more than 64 levels"):
            json.read(b"[" * 500_000 + b"]" * 500_000, MEMBERS_MAX)
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_strings_do_not_nest():
    items = [{"id": "[" * 90, "b": '{"\\'}] * 100
    assert json.read(stdlib_json.dumps(items).encode(), MEMBERS_MAX) == items


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), st.lists, max_leaves=20))
def test_all_valid_json_reads_as_the_standard_library_reads_it(value):
    document = {"a": value}
    assert json.read(stdlib_json.dumps(document, ensure_ascii=False).encode(), MEMBERS_MAX) == document


@given(st.binary() | st.text(st.sampled_from(list('{}[]",:\\u0a \n'))).map(str.encode))
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        json.read(body, MEMBERS_MAX)
