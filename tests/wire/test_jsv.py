"""JSV against the grammar of the contract."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo, ApiKeyQueryResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire import jsv
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.style import JsonCase, Style
from tests.wire.samples import RESPONSES, TEXTS, USAGE


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (
            USAGE,
            "{CompanyId:2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f,TokensUsed:120,TokenLimit:1000,TokensRemaining:880,"
            "IsWithinBudget:True,WindowDays:30}",
        ),
        (
            ErrorResponse(response_status=ResponseStatus(error_code="E", message="", errors=[])),
            '{ResponseStatus:{ErrorCode:E,Message:"",Errors:[]}}',
        ),
        (
            ErrorResponse(
                response_status=ResponseStatus(
                    error_code="E",
                    message='say "a,b"',
                    errors=[ResponseError(error_code="C", field_name="F", message="x", meta={"a:b": "c"})],
                )
            ),
            '{ResponseStatus:{ErrorCode:E,Message:"say ""a,b""",Errors:'
            '[{ErrorCode:C,FieldName:F,Message:x,Meta:{"a:b":c}}]}}',
        ),
        (
            ApiKeyQueryResponse(
                results=[ApiKeyInfo(id="k", roles=["a", "b"], networks=[], created_at=Instant(978_307_200_001))]
            ),
            "{Results:[{Id:k,Roles:[a,b],Networks:[],CreatedAt:2001-01-01T00:00:00.0010000Z}]}",
        ),
    ],
)
def test_a_value_is_written_in_pascal_case_always(value, written):
    assert jsv.write(value, Style()).decode() == written
    assert jsv.write(value, Style(JsonCase.PASCAL)).decode() == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain text", "plain text"),
        ("", '""'),
        ('"1st', '"""1st"'),
        ("a,b", '"a,b"'),
        ("a:b", '"a:b"'),
        ("{a", '"{a"'),
        ("b]", '"b]"'),
        ("a\nb", '"a\nb"'),
        (" a", '" a"'),
        ("a ", '"a "'),
        ("null", "null"),
        ("åß", "åß"),
    ],
)
def test_text_is_quoted_only_where_it_would_be_misread(text, written):
    assert jsv.write_string(text) == written


@given(TEXTS)
def test_text_reads_as_itself(text):
    assert jsv.read(f"{{A:{jsv.write_string(text)}}}".encode(), MEMBERS_MAX) == {"A": text}


@given(RESPONSES)
def test_what_is_written_reads_as_itself(value):
    assert struct_from(type(value), jsv.read(jsv.write(value, Style()), MEMBERS_MAX)) == value


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("", None),
        ("{}", {}),
        ("[]", []),
        ("\ufeff{A:1}", {"A": "1"}),
        ("{A:1,B:2}", {"A": "1", "B": "2"}),
        ("{Two:2:nd}", {"Two": "2:nd"}),
        ("{A:,B:1}", {"A": "", "B": "1"}),
        ("{A:}", {"A": ""}),
        ('{A:"",B:"a""b"}', {"A": "", "B": 'a"b'}),
        ('{"A" : 1 , B : x y }', {"A": "1", "B": "x y"}),
        ("{A:{B:{C:d}},E:[1,[2,3],{F:4}]}", {"A": {"B": {"C": "d"}}, "E": ["1", ["2", "3"], {"F": "4"}]}),
        ('{A:"}",B:"]"}', {"A": "}", "B": "]"}),
        ("{A:x]y}", {"A": "x]y"}),
        ("[a,b]", ["a", "b"]),
        ('[{"key":"KEY"}]', [{"key": "KEY"}]),
        ("a,b", ["a", "b"]),
        ("a", ["a"]),
        ("{A:1},{B:[2,3]}", [{"A": "1"}, {"B": ["2", "3"]}]),
        ("[a],[b]", [["a"], ["b"]]),
        ('"a,b" , c', ["a,b", "c"]),
        (" {A:1}", [{"A": "1"}]),
        ("{\n\tTokensUsed: 0,\n\tResponseStatus: \n\t{\n\t\tErrors: \n\t\t[\n\t\t]\n\t}\n}",
         {"TokensUsed": "0", "ResponseStatus": {"Errors": []}}),
    ],
)  # fmt: skip
def test_a_body_is_read(text, document):
    assert jsv.read(text.encode(), MEMBERS_MAX) == document


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{A:1},{B", "A '}' is missing at the end."),
        (b'"a"b', "Expected ',' at character 3."),
        (b"[a]b", "Unexpected text after the closing bracket at character 3."),
        (b"1," * 10_001, "It has more than 10000 members."),
        (b"{A:1", "A '}' is missing at the end."),
        (b"{A:{B:1}", "A '}' is missing at the end."),
        (b"{A:[1,2", "A ']' is missing at the end."),
        (b"{A:[1,2}", "A ']' is missing at the end."),
        (b"{A:1}}", "Unexpected text after the closing bracket at character 5."),
        (b"{A}", "Expected ':' at character 2."),
        (b'{A:"x', "A quoted string does not end."),
        (b'{A:"x"y}', "Expected ',' at character 6."),
        (b"{A:{}x}", "Expected ',' at character 5."),
        (b"{A:\xff}", "It is not UTF-8: byte 3 cannot be read."),
        (b"{A:" * 10_000, "It nests more than 64 levels."),
        (b"[" * 1_000_000, "It nests more than 64 levels."),
        (b"{A:[" + b"1," * 10_000 + b"1]}", "It has more than 10000 members."),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(body, message):
    with pytest.raises(Malformed) as refused:
        jsv.read(body, MEMBERS_MAX)
    assert str(refused.value) == message


@pytest.mark.parametrize(("text", "items"), [("a,b", ["a", "b"]), ("[a,b]", ["a", "b"]), ('a,"b,c"', ["a", "b,c"])])
def test_the_brackets_of_a_list_in_a_field_are_optional(text, items):
    assert jsv.read_list(text) == items


@given(st.binary() | st.text(st.sampled_from(list('{}[]",:aB \n'))).map(str.encode))
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        jsv.read(body, MEMBERS_MAX)


@pytest.mark.parametrize("text", ["[", "[]]", "{", "{}", '"', 'a"b', "[a", "a]b"])
def test_a_field_does_no_more_than_be_refused(text):
    for read in (jsv.read_list, jsv.read_object):
        with suppress(Malformed):
            read(text)
