"""CSV as the contract writes it, and all that is read as CSV."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.budget import AiChatBudgetChange, AiChatBudgetResponse
from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo, ApiKeyQueryResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire import csv
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.style import Style
from tests.wire.samples import GUIDS, USAGE, responses_of

HEADER = "CompanyId,TokensUsed,TokenLimit,TokensRemaining,IsWithinBudget,WindowDays,ResponseStatus\r\n"
ROW = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f,120,1000,880,True,30,\r\n"
CHANGE = AiChatBudgetChange(effective_at=Instant(0), token_limit=1, window_days=2, actor="a,b")
KEY_HEADER = "Id,CompanyId,Name,Roles,Networks,CreatedAt,ExpiresAt,RevokedAt\r\n"


def key(name):
    return ApiKeyInfo(id="k", name=name, roles=[], networks=["a", "b"], created_at=Instant(978_307_200_000))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (USAGE, HEADER + ROW),
        ([USAGE, USAGE], HEADER + ROW + ROW),
        ([], ""),
        (
            AiChatBudgetResponse(company_id="c", token_limit=1, window_days=2, is_default=False, history=[CHANGE]),
            "CompanyId,TokenLimit,WindowDays,IsDefault,History,ResponseStatus\r\n"
            'c,1,2,False,"[{EffectiveAt:1970-01-01,TokenLimit:1,WindowDays:2,Actor:""a,b""}]",\r\n',
        ),
        (
            ApiKeyQueryResponse(results=[key("x"), key(None)]),
            f'{KEY_HEADER}k,,x,"[]","[a,b]",2001-01-01,,\r\nk,,,"[]","[a,b]",2001-01-01,,\r\n',
        ),
        (ApiKeyQueryResponse(results=[]), KEY_HEADER),
        (
            ErrorResponse(
                response_status=ResponseStatus(
                    error_code="E", message="m", errors=[ResponseError(error_code="C", field_name="F", message="x")]
                )
            ),
            'ResponseStatus\r\n"{ErrorCode:E,Message:m,Errors:[{ErrorCode:C,FieldName:F,Message:x}]}"\r\n',
        ),
    ],
)
def test_a_value_is_written(value, written):
    assert csv.write(value, Style()).decode() == written


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("a b", "a b"),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("[a", '"[a"'),
        ("{a", '"{a"'),
        ("a{", "a{"),
        ("=1+1", "=1+1"),
        ("@x", "@x"),
    ],
)
def test_a_text_is_quoted_only_where_it_must_be(text, cell):
    written = csv.write(key(text), Style()).decode().removeprefix(KEY_HEADER)
    assert written == f'k,,{cell},"[]","[a,b]",2001-01-01,,\r\n'


# An empty cell is a missing value, so an empty text does not come back.
SAYABLE = st.text(st.sampled_from(list('",:{}[]\r\n\t =+-@Åß')) | st.characters(exclude_categories=["Cs"]), min_size=1)
ONE_ROW = responses_of(SAYABLE).filter(lambda value: not isinstance(value, ApiKeyQueryResponse))
KEYS = st.builds(
    ApiKeyInfo,
    id=SAYABLE,
    company_id=st.none() | GUIDS,
    name=st.none() | SAYABLE,
    roles=st.lists(SAYABLE, max_size=3),
    networks=st.just([]),
    created_at=st.integers(0, 2**41).map(Instant),
)


@given(ONE_ROW)
def test_what_is_written_reads_as_itself(value):
    (document,) = csv.read(csv.write(value, Style()), MEMBERS_MAX)
    assert struct_from(type(value), document) == value


@given(st.lists(KEYS, max_size=5))
def test_a_list_reads_as_itself(keys):
    written = csv.write(ApiKeyQueryResponse(results=keys), Style())
    assert [struct_from(ApiKeyInfo, document) for document in csv.read(written, MEMBERS_MAX)] == keys


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        (b"", []),
        (b"A,B\r\n", []),
        (b"A,B\r\n1,2\r\n", [{"A": "1", "B": "2"}]),
        (b"A,B\n1,2\n\n3,4", [{"A": "1", "B": "2"}, {"A": "3", "B": "4"}]),
        (b"\xef\xbb\xbfA , B\r\n1,\r\n", [{"A": "1"}]),
        (b'A\r\n"a\r\n""b"', [{"A": 'a\r\n"b'}]),
        (b"A,B\r\n1\r\n", [{"A": "1"}]),
        (b"A\r\n1,2\r\n3\r\n", ["1,2", {"A": "3"}]),
        (b"A\r\n=cmd|' /C calc'!A0\r\n", [{"A": "=cmd|' /C calc'!A0"}]),
    ],
)
def test_a_body_is_read(body, documents):
    assert csv.read(body, MEMBERS_MAX) == documents


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'A\r\n"a', "Line 2: unexpected end of data."),
        (b'A\r\n"a"b\r\n', "Line 2: ',' expected after '\"'."),
        (b"A,a\r\n1,2", "A column comes more than once."),
        (b"A\r\n\xff", "It is not UTF-8: byte 3 cannot be read."),
        (b"A\r\n" + b"x" * 200_000, "Line 2: field larger than field limit (131072)."),
        (b"A,B\r\n" + b"1,2\r\n" * 5_001, "It has more than 10000 members."),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(body, message):
    with pytest.raises(Malformed) as refused:
        csv.read(body, MEMBERS_MAX)
    assert str(refused.value) == message


@given(st.binary() | st.text(st.sampled_from(list('A,"\r\n1'))).map(str.encode))
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        csv.read(body, MEMBERS_MAX)
