"""How a request comes together from path, query, form and body."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract import OPERATIONS
from kvot.contract.describe import Instant, Unreadable
from kvot.contract.keeping import AiChatUsageEvent
from kvot.core.errors import Forbidden, InvalidRequest
from kvot.wire.binding import FIELDS_MAX, Sent, bind_api, bind_route, read_fields
from kvot.wire.formats import JSV

OWN = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"
OTHER = "7d1f0c52-3a8e-4b6c-8f21-5e9a0b7c6d43"
RECORD = OPERATIONS["recordaichatusage"]
UPDATE = OPERATIONS["updateaichatbudget"]
REPORT = OPERATIONS["getaichatusagereport"]
IMPORT = OPERATIONS["importaichatusage"]
CREATE_KEY = OPERATIONS["createapikey"]
REVOKE = OPERATIONS["revokeapikey"]
SET_PROVIDER_KEY = OPERATIONS["updateaichatproviderkey"]
FORM = "application/x-www-form-urlencoded"


def sent(query="", body=None, content_type="", **path):
    return Sent(path, read_fields(query.encode()), body.encode() if body is not None else None, content_type)


def bound(bind, operation, *args, **path):
    request = bind(operation, sent(*args, **path))
    return {name: value for name in request.__struct_fields__ if (value := getattr(request, name)) not in (None, 0)}


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("", {}),
        (f"CompanyId={OWN}", {"company_id": OWN}),
        (f"companyid={OWN.replace('-', '')}", {"company_id": OWN}),
        (f"COMPANYID=%7B{OWN.upper()}%7D", {"company_id": OWN}),
        ("CompanyId=", {}),
        ("CompanyId", {}),
        ("Unknown=1&format=json&jsconfig=edv", {}),
        ("At=2001-01-01&WindowDays=007", {"at": Instant(978_307_200_000), "window_days": 7}),
        ("at=/Date(978307200000)/", {"at": Instant(978_307_200_000)}),
        ("at=2001-01-01T01:00:00+01:00", {"at": Instant(978_307_200_000)}),
    ],
)
def test_a_query_fills_members_by_name(query, members):
    assert bound(bind_route, REPORT, query) == members
    assert bound(bind_api, REPORT, query) == members


@pytest.mark.parametrize(
    ("query", "roles"),
    [("Roles=a,b", ["a", "b"]), ("roles=[a,b]", ["a", "b"]), ("Roles=a&roles=b", ["a", "b"]), ("Roles=%5B%5D", [])],
)
def test_a_list_comes_with_commas_brackets_or_repeated(query, roles):
    assert bound(bind_api, CREATE_KEY, query)["roles"] == roles


@pytest.mark.parametrize(
    ("bind", "query", "body", "tokens"),
    [
        (bind_route, "TokensUsed=5", '{"tokensUsed":7}', 5),
        (bind_api, "TokensUsed=5", '{"tokensUsed":7}', 7),
        (bind_api, "TokensUsed=5", '{"tokensUsed":0}', 5),
        (bind_api, "TokensUsed=5", "{}", 5),
        (bind_api, "TokensUsed=5", "", 5),
        (bind_route, "TokensUsed=5", "{}", 5),
    ],
)
def test_query_over_body_on_a_route_and_body_over_query_under_api(bind, query, body, tokens):
    assert bound(bind, RECORD, query, body, "application/json") == {"tokens_used": tokens}


@pytest.mark.parametrize("bind", [bind_route, bind_api])
def test_a_form_comes_on_top_of_the_query(bind):
    assert bound(bind, RECORD, "TokensUsed=5", "tokensused=7", FORM) == {"tokens_used": 7}
    assert bound(bind, RECORD, "TokensUsed=5", "tokensused=", FORM + "; charset=utf-8") == {"tokens_used": 5}


def test_the_path_fills_a_member_and_the_query_overwrites_it():
    assert bound(bind_route, REVOKE, id="k1") == {"id": "k1"}
    assert bound(bind_route, REVOKE, "id=k2", id="k1") == {"id": "k2"}


@pytest.mark.parametrize(
    ("content_type", "body", "tokens"),
    [
        ("application/json", '{"tokensUsed":7}', 7),
        ("application/json; charset=utf-8", '{"TOKENSUSED":"7"}', 7),
        ("text/json", '{"tokensUsed":"1,234"}', 1234),
        ("", '{"tokensUsed":7}', 7),
        ("text/jsv", "{TokensUsed:7}", 7),
        ("application/jsv", '{"tokensused":7}', 7),
        ("application/x-jsv", "{TokensUsed:007}", 7),
        ("application/json", "null", None),
        ("image/png", '{"tokensUsed":7}', None),
    ],
)
def test_a_route_reads_the_body_by_its_content_type(content_type, body, tokens):
    assert bound(bind_route, RECORD, "", body, content_type).get("tokens_used") == tokens


@pytest.mark.parametrize("content_type", ["application/json", "text/plain;charset=UTF-8", "text/jsv", ""])
def test_api_reads_json_whatever_the_content_type_says(content_type):
    assert bound(bind_api, RECORD, "", '{"tokensUsed":7}', content_type) == {"tokens_used": 7}


def test_api_reads_the_format_of_the_extension():
    request = bind_api(RECORD, sent("", "{TokensUsed:7}"), JSV)
    assert request.tokens_used == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ['"abc"', "1.5", "true", "{}", "[1]", "9223372036854775808", '""', "null", '"1,2"'])
def test_a_bad_member_in_a_body_is_skipped(value):
    assert bound(bind_route, RECORD, "", f'{{"tokensUsed":{value}}}', "application/json") == {}


def fields_of(bind, operation, *args, **path):
    with pytest.raises(InvalidRequest) as refused:
        bind(operation, sent(*args, **path))
    assert refused.value.code == "SerializationException"
    return refused.value.message, [(each.field, each.code, each.message) for each in refused.value.fields]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [('{"companyId":"zzz"}', "application/json"), ("{CompanyId:zzz}", "text/jsv"), ("companyId=zzz", FORM)],
)
def test_a_bad_member_that_must_not_be_skipped_is_named(body, content_type):
    assert fields_of(bind_route, RECORD, "", body, content_type) == (
        "Unable to bind to request 'RecordAiChatUsage'",
        [("CompanyId", "SerializationException", "'zzz' is an Invalid value for 'CompanyId'")],
    )


@pytest.mark.parametrize(
    ("member", "value", "shown"),
    [
        ("networks", '["10.1.0.0/16",null]', "[…]"),
        ("networks", '{"cidr":"10.1.0.0/16"}', "{…}"),
        ("networks", '[["10.1.0.0/16"]]', "[…]"),
        ("networks", '[{"cidr":"10.1.0.0/16"}]', "[…]"),
        ("networks", "[10.5]", "[…]"),
        ("networks", "167837696", "167837696"),
        ("networks", "false", "False"),
        ("roles", '["usage-writer",null]', "[…]"),
        ("roles", '{"usage-writer":true}', "{…}"),
        ("expiresAt", '"soon"', "soon"),
        ("key", '{"value":"a-key-from-elsewhere"}', "***"),
        ("key", '["a-key-from-elsewhere"]', "***"),
        ("key", "1234567890123456.5", "***"),
    ],
)
@pytest.mark.parametrize("bind", [bind_route, bind_api])
def test_no_key_is_made_that_may_more_than_was_meant(bind, member, value, shown):
    """Skipped, it would be a key for everywhere, or for ever, or another one than its client has."""
    _, [(field, _, message)] = fields_of(bind, CREATE_KEY, "", f'{{"{member}":{value}}}', "application/json")
    assert (field.lower(), message) == (member.lower(), f"'{shown}' is an Invalid value for '{field}'")


@pytest.mark.parametrize("inner", ["<string>10.1.0.0/16</string><string><x/></string>", "<string><a>1</a></string>"])
def test_nor_one_from_xml(inner):
    body = f"<CreateApiKey><Networks>{inner}</Networks></CreateApiKey>"
    assert [field for field, _, _ in fields_of(bind_route, CREATE_KEY, "", body, "application/xml")[1]] == ["Networks"]


@pytest.mark.parametrize("value", ["1234567890123456.5", '{"v":"sk-secret"}', '["sk-secret"]'])
def test_a_companys_key_to_a_provider_is_not_repeated(value):
    message = fields_of(bind_route, SET_PROVIDER_KEY, "", f'{{"apiKey":{value}}}', "application/json")[1][0][2]
    assert message == "'***' is an Invalid value for 'ApiKey'"


def test_every_bad_field_is_named_at_once():
    message, faults = fields_of(bind_route, REPORT, "CompanyId=zzz&At=never&WindowDays=2147483648")
    assert message == "Unable to bind to request 'GetAiChatUsageReport'"
    assert [field for field, _, _ in faults] == ["CompanyId", "At", "WindowDays"]


def test_two_companies_in_one_query_are_none():
    _, faults = fields_of(bind_route, REPORT, f"CompanyId={OWN}&companyid={OTHER}")
    assert faults[0][0] == "CompanyId"


def test_a_bad_value_is_repeated_within_bounds():
    _, faults = fields_of(bind_api, UPDATE, "", '{"tokenLimit":"%s"}' % ("9" * 100_000))
    assert len(faults[0][2]) < 200
    assert fields_of(bind_api, UPDATE, "", '{"tokenLimit":[[1]]}')[1][0][2].startswith("'[…]'")


@pytest.mark.parametrize(
    ("bind", "content_type", "body", "read_as", "reason"),
    [
        (bind_route, "application/json", "[]", "application/json", "Expected '{'."),
        (bind_route, "application/json", "7", "application/json", "Expected '{'."),
        (bind_route, "application/jsv", "{A:1", "text/jsv", "A '}' is missing at the end."),
        (bind_api, "text/jsv", "{A", "application/json", "A '}' is missing at the end."),
    ],
)
def test_a_body_that_is_no_document_is_refused(bind, content_type, body, read_as, reason):
    message = f"Could not deserialize '{read_as}' request using RecordAiChatUsage\nError: {reason}"
    assert fields_of(bind, RECORD, "", body, content_type) == (message, [])


def test_a_multipart_body_is_refused_rather_than_ignored():
    assert fields_of(bind_api, RECORD, "", "--x", "multipart/form-data; boundary=x")[1] == []


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"%ff=a"])
def test_a_query_that_is_not_utf_8_is_refused(query):
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        read_fields(query)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {"": ""}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"A=1&a=2&a", {"a": "1,2,"}),
        (b"a=b=c&&d", {"a": "b=c", "": "", "d": ""}),
        (b"a%3Db=1%262&c=x+y%2B", {"a=b": "1&2", "c": "x y+"}),
        ("å=é&%C3%A5=%c3%a9".encode(), {"å": "é,é"}),
        (b"a=%zz", {"a": "%zz"}),
    ],
)
def test_fields_are_read(query, fields):
    assert read_fields(query) == fields


def test_a_query_has_bounds():
    assert len(read_fields(b"&".join(b"a%d=1" % n for n in range(FIELDS_MAX)))) == FIELDS_MAX
    with pytest.raises(InvalidRequest, match="more than"):
        read_fields(b"a=1&" * FIELDS_MAX)


def events(*args):
    request = bind_route(IMPORT, sent(*args))
    return request.events  # type: ignore[attr-defined]


FIRST = AiChatUsageEvent(id="e1", at=Instant(978_307_200_000), tokens=5)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '[{"id":"e1","at":"2001-01-01","tokens":5}]'),
        ("application/json", '{"events":[{"Id":"e1","At":"/Date(978307200000)/","Tokens":"5"}]}'),
        ("text/jsonl", '{"id":"e1","at":"2001-01-01","tokens":5}\n\n'),
        ("application/x-ndjson", '{"id":"e1","at":"2001-01-01","tokens":5}\r\n'),
        ("text/jsv", "[{Id:e1,At:2001-01-01,Tokens:5}]"),
        ("text/jsv", "{Events:[{Id:e1,At:2001-01-01,Tokens:5}]}"),
    ],
)
def test_an_array_or_json_lines_fill_the_list(content_type, body):
    assert events("", body, content_type) == [FIRST]


def test_json_lines_are_believed_under_api_too():
    request = bind_api(IMPORT, sent("", '{"id":"e1"}\n{"id":"e2"}', "text/jsonl"))
    assert [each.id for each in request.events] == ["e1", "e2"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("item", "event"),
    [
        ('{"id":"e","at":"never"}', AiChatUsageEvent(id="e", at=Unreadable("never"))),  # type: ignore[arg-type]
        ('{"companyId":"zzz"}', AiChatUsageEvent(company_id=Unreadable("zzz"))),  # type: ignore[arg-type]
        ('{"tokens":1.5}', AiChatUsageEvent(tokens=Unreadable("1.5"))),  # type: ignore[arg-type]
        ('{"id":0.5}', AiChatUsageEvent(id=Unreadable("0.5"))),  # type: ignore[arg-type]
        ("7", AiChatUsageEvent(id=Unreadable("7"))),  # type: ignore[arg-type]
        ("null", AiChatUsageEvent(id=Unreadable("null"))),  # type: ignore[arg-type]
        ('{"at":""}', AiChatUsageEvent()),
    ],
)
def test_a_bad_item_stands_for_itself_and_stops_no_other(item, event):
    assert events("", f'[{{"id":"e1","at":"2001-01-01","tokens":5}},{item}]', "application/json") == [FIRST, event]


def test_a_line_that_cannot_be_read_stops_no_other():
    first, broken, last = events("", '{"id":"a"}\n{"id":\n{"id":"b"}', "text/jsonl")
    assert (first.id, broken.id, last.id) == ("a", Unreadable('{"id":'), "b")
    assert broken.id.why == "A '}' is missing at the end."


def test_a_list_may_be_longer_than_a_document_may_be_wide():
    assert len(events("", "[" + ",".join(['{"id":"e"}'] * 20_000) + "]", "application/json")) == 20_000


def test_a_list_nests_no_deeper_than_a_document():
    with pytest.raises(InvalidRequest, match="nests more than 64 levels"):
        events("", "[" * 100 + "]" * 100, "application/json")


QUERIES = st.text(st.sampled_from(list("aAtcompnyidw=&%+,.:/()[]{}\"'0159-TZ \\"))).map(str.encode)
NAMED = st.builds(
    b"%s=%s".__mod__, st.tuples(st.sampled_from([b"CompanyId", b"At", b"WindowDays"]), st.binary() | QUERIES)
)


@given(st.binary() | QUERIES | st.lists(NAMED).map(b"&".join))
def test_no_query_does_more_than_be_refused(query):
    with suppress(InvalidRequest, Forbidden):
        bind_api(REPORT, Sent(query=read_fields(query)))


@pytest.mark.parametrize("name", ["createapikey", "getaichatusagereport"])
def test_a_body_of_an_unknown_type_is_refused_where_nothing_is_required(name):
    with pytest.raises(InvalidRequest, match="A body of the type 'text/plain' cannot be read"):
        bind_route(OPERATIONS[name], Sent(body=b'{"networks":["10.0.0.0/8"]}', content_type="text/plain"))


@pytest.mark.parametrize("name", ["recordaichatusage", "correctaichatusage", "importaichatusage"])
def test_it_counts_as_empty_where_the_rules_will_name_what_is_missing(name):
    operation = OPERATIONS[name]
    assert bind_route(operation, Sent(body=b"{", content_type="text/plain")) == operation.request()


UNREAD = [("text/plain", "A body of the type 'text/plain' cannot be read"), (FORM, "A form cannot begin with '{'")]


@pytest.mark.parametrize(("content_type", "why"), UNREAD)
def test_what_the_path_says_does_not_make_up_for_a_body_that_is_not_read(content_type, why):
    body = b'{"ttlSeconds":3600}'
    with pytest.raises(InvalidRequest, match=why):
        bind_route(OPERATIONS["renewaichathold"], Sent({"holdid": "h"}, body=body, content_type=content_type))
