"""XML in the dialect of DataContractSerializer, and all that is read as XML."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.describe import Instant
from kvot.contract.keys import ApiKeyInfo, ApiKeyQueryResponse
from kvot.contract.status import ErrorResponse, ResponseError, ResponseStatus
from kvot.wire import xml
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.style import Style
from tests.wire.samples import USAGE, responses_of

OPENING = '<?xml version="1.0" encoding="utf-8"?>'
INSTANCE = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
DTOS = f'{INSTANCE} xmlns="http://schemas.datacontract.org/2004/07/BokaMera.API.ServiceModel.Dtos"'
SERVICESTACK = "http://schemas.servicestack.net/types"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
FAULT = ResponseError(error_code="GreaterThan", field_name="TokensUsed", message="a < b", meta={"k": "v"})
STATUS = ResponseStatus(error_code="E", message="m & n", errors=[FAULT])
USAGE_MEMBERS = (
    "<CompanyId>2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f</CompanyId><IsWithinBudget>true</IsWithinBudget>"
    "{status}<TokenLimit>1000</TokenLimit><TokensRemaining>880</TokensRemaining>"
    "<TokensUsed>120</TokensUsed><WindowDays>30</WindowDays>"
)
NO_STATUS = USAGE_MEMBERS.format(status='<ResponseStatus i:nil="true" />')


def with_status():
    fields = {name: getattr(USAGE, name) for name in USAGE.__struct_fields__}
    return type(USAGE)(**{**fields, "response_status": STATUS})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (USAGE, f"<AiChatUsageResponse {DTOS}>{NO_STATUS}</AiChatUsageResponse>"),
        (
            with_status(),
            f"<AiChatUsageResponse {DTOS}>"
            + USAGE_MEMBERS.format(
                status=f'<ResponseStatus xmlns:d2p1="{SERVICESTACK}"><d2p1:ErrorCode>E</d2p1:ErrorCode>'
                '<d2p1:Message>m &amp; n</d2p1:Message><d2p1:StackTrace i:nil="true" /><d2p1:Errors>'
                "<d2p1:ResponseError><d2p1:ErrorCode>GreaterThan</d2p1:ErrorCode>"
                "<d2p1:FieldName>TokensUsed</d2p1:FieldName><d2p1:Message>a &lt; b</d2p1:Message>"
                f'<d2p1:Meta xmlns:d5p1="{ARRAYS}"><d5p1:KeyValueOfstringstring><d5p1:Key>k</d5p1:Key>'
                "<d5p1:Value>v</d5p1:Value></d5p1:KeyValueOfstringstring></d2p1:Meta></d2p1:ResponseError>"
                '</d2p1:Errors><d2p1:Meta i:nil="true" /></ResponseStatus>'
            )
            + "</AiChatUsageResponse>",
        ),
        (
            ErrorResponse(response_status=ResponseStatus(error_code="E", message="m", errors=[])),
            f'<ErrorResponse {INSTANCE} xmlns="{SERVICESTACK}"><ResponseStatus><ErrorCode>E</ErrorCode>'
            '<Message>m</Message><StackTrace i:nil="true" /><Errors /><Meta i:nil="true" />'
            "</ResponseStatus></ErrorResponse>",
        ),
        (
            ApiKeyQueryResponse(
                results=[ApiKeyInfo(id="k", roles=["a"], networks=[], created_at=Instant(978_307_200_100))]
            ),
            f'<ApiKeyQueryResponse {DTOS}><ResponseStatus i:nil="true" /><Results><ApiKeyInfo>'
            '<CompanyId i:nil="true" /><CreatedAt>2001-01-01T00:00:00.1Z</CreatedAt><ExpiresAt i:nil="true" />'
            f'<Id>k</Id><Name i:nil="true" /><Networks xmlns:d4p1="{ARRAYS}" />'
            f'<RevokedAt i:nil="true" /><Roles xmlns:d4p1="{ARRAYS}"><d4p1:string>a</d4p1:string></Roles>'
            "</ApiKeyInfo></Results></ApiKeyQueryResponse>",
        ),
        (
            [USAGE],
            f"<ArrayOfAiChatUsageResponse {DTOS}><AiChatUsageResponse>{NO_STATUS}</AiChatUsageResponse>"
            "</ArrayOfAiChatUsageResponse>",
        ),
    ],
)
def test_a_value_is_written(value, written):
    assert xml.write(value, Style()).decode() == OPENING + written


def test_the_namespace_is_the_hosts():
    written = xml.write(USAGE, Style(dto_namespace='A&"B'))
    assert b' xmlns="http://schemas.datacontract.org/2004/07/A&amp;&quot;B">' in written


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_000, "1970-01-01T00:00:01Z"), (120, "1970-01-01T00:00:00.12Z")],
)
def test_a_date_is_written_in_full(ms, text):
    key = ApiKeyInfo(id="k", roles=[], networks=[], created_at=Instant(ms))
    assert f"<CreatedAt>{text}</CreatedAt>".encode() in xml.write(key, Style())


# What XML 1.0 has no way to say is not among what must come back.
SAYABLE = st.text(
    st.one_of(
        st.sampled_from(list("<>&\"'\r\n\t ]]>Åß")),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    )
)


@given(responses_of(SAYABLE))
def test_what_is_written_reads_as_itself(value):
    assert struct_from(type(value), xml.read(xml.write(value, Style()), MEMBERS_MAX)) == value


@given(responses_of(st.text(st.characters(exclude_categories=["Cs"]))))
def test_whatever_is_written_can_be_read(value):
    xml.read(xml.write(value, Style()), MEMBERS_MAX)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"", None),
        (b" \n", None),
        (b"<R />", ""),
        (b"<R><A>1</A><B/><C> x </C></R>", {"A": "1", "B": "", "C": " x "}),
        (b"\xef\xbb\xbf<R><A>1</A></R>", {"A": "1"}),
        (b"<R xmlns='a' xmlns:b='c'>\n <b:A>1</b:A>\n</R>", {"A": "1"}),
        (b"<R><A>1</A><A>2</A></R>", {"A": "2"}),
        (b"<R><A><B>1</B></A></R>", {"A": {"B": "1"}}),
        (b"<R><A>&lt;&#229;<![CDATA[<&]]></A></R>", {"A": "<å<&"}),
        (b"<R xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><A i:nil='true'/></R>", {"A": None}),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><R><A>\xe5</A></R>", {"A": "å"}),
        (b"<?xml version='1.0'?><!-- c --><R><?p i?><A>1</A></R>", {"A": "1"}),
    ],
)
def test_a_body_is_read(body, document):
    assert xml.read(body, MEMBERS_MAX) == document


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"nonsense", "syntax error at line 1."),
        (b"<R><A></R>", "mismatched tag at line 1."),
        (b"<R>\n<A>", "no element found at line 2."),
        (b"<R/><R/>", "junk after document element at line 1."),
        (b"<R>\xff</R>", "not well-formed (invalid token) at line 1."),
        (b"<R a='1' a='2'/>", "duplicate attribute at line 1."),
        (b"<R>&e;</R>", "undefined entity at line 1."),
        (b"<x:R/>", "unbound prefix at line 1."),
        (b"<?xml version='1.0' encoding='zzz'?><R/>", "Its encoding is not known."),
        (b"<!DOCTYPE R><R/>", "A document type is not accepted."),
        (b"<!DOCTYPE R SYSTEM 'file:///etc/passwd'><R/>", "A document type is not accepted."),
        (b"<!DOCTYPE R [<!ENTITY e 'x'>]><R>&e;</R>", "A document type is not accepted."),
        (b"<a>" * 10_000, "It nests more than 64 levels."),
        (b"<R>" + b"<a/>" * 10_000 + b"</R>", "It has more than 10000 members."),
        (b"<R" + b"".join(b" a%d=''" % n for n in range(65)) + b"/>", "An element has more than 64 attributes."),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(body, message):
    with pytest.raises(Malformed) as refused:
        xml.read(body, MEMBERS_MAX)
    assert str(refused.value) == message


@given(st.binary() | st.text(st.sampled_from(list("<>/ab=' &;#!"))).map(str.encode))
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        xml.read(body, MEMBERS_MAX)
