"""Every format, by every way to ask for it, from the first byte of a request to the last of its reply."""

import msgspec
import pytest

from kvot.http.app import HttpSettings
from kvot.wire.style import JsonCase, Style
from tests.http.asgi import Asgi
from tests.http.conftest import make_app

USAGE = "/assistant/ai-chat/usage"
API = "/api/GetAiChatUsage"
TYPES = {
    "json": "application/json; charset=utf-8",
    "jsv": "text/jsv",
    "xml": "application/xml",
    "csv": "text/csv",
    "jsonl": "text/jsonl",
    "msgpack": "application/x-msgpack",
    "html": "text/html; charset=utf-8",
}


@pytest.mark.parametrize("key", TYPES)
def test_a_format_is_asked_for_by_extension_query_accept_or_path(asgi, company, key):
    accept = TYPES[key].partition(";")[0]
    asked = [
        asgi.send("GET", f"{USAGE}.{key}", x_api_key=company, accept="application/json"),
        asgi.send("GET", f"{USAGE}?format={key.upper()}", x_api_key=company, accept="application/json"),
        asgi.send("GET", USAGE, x_api_key=company, accept=f"text/plain;q=0.9, {accept}"),
        asgi.send("GET", f"{API}.{key}", x_api_key=company),
        asgi.send("GET", f"{API}?format={key}", x_api_key=company),
        asgi.send("GET", f"/{key}/reply/getaichatusage", x_api_key=company, accept="application/json"),
    ]
    assert {reply.status for reply in asked} == {200}
    assert {reply.headers["content-type"] for reply in asked} == {TYPES[key]}
    assert all("Accept" in reply.headers["vary"] for reply in asked)
    assert key == "html" or len({reply.body for reply in asked}) == 1


@pytest.mark.parametrize("key", TYPES)
def test_a_breakdown_of_the_last_instant_can_be_written(asgi, company, key):
    target = f"{USAGE}/breakdown.{key}?By=model&At=9999-12-31T23:59:59.999Z"
    assert asgi.send("GET", target, x_api_key=company).status == 200


def test_a_share_of_those_that_say_none_has_no_label(asgi, company):
    asgi.send("POST", f"{USAGE}?TokensUsed=5", x_api_key=company)
    (share,) = asgi.send("GET", f"{USAGE}/breakdown?By=model", x_api_key=company).json["results"]
    assert share == {"events": 1, "tokens": 5, "inputTokens": 0, "outputTokens": 0}


@pytest.mark.parametrize("key", TYPES)
def test_an_error_has_the_format_of_the_reply(asgi, key):
    reply = asgi.send("GET", f"{USAGE}.{key}")
    assert (reply.status, reply.headers["content-type"]) == (401, TYPES[key])
    assert b"Not Authenticated" in reply.body
    assert asgi.send("GET", f"/{key}/reply/Nothing", x_api_key="c").headers["content-type"] == TYPES[key]


def test_csv_has_a_name_to_be_kept_under(asgi, company):
    reply = asgi.send("GET", f"{USAGE}.csv", x_api_key=company)
    assert reply.headers["content-disposition"] == 'attachment;filename="GetAiChatUsage.csv"'
    assert reply.body.startswith(b"CompanyId,TokensUsed,")


def test_api_does_not_look_at_accept(asgi, company):
    reply = asgi.send("GET", API, x_api_key=company, accept="application/xml")
    assert reply.headers["content-type"] == TYPES["json"]


def test_an_unknown_format_is_refused_in_the_one_that_was_negotiated(asgi, company):
    reply = asgi.send("GET", f"{USAGE}?format=zzz", x_api_key=company, accept="application/xml")
    assert (reply.status, reply.headers["content-type"]) == (400, TYPES["xml"])


RECORD = [
    ("application/json", '{"tokensUsed":7}'),
    ("text/json", '{"tokensUsed":7}'),
    ("text/jsv", "{TokensUsed:7}"),
    ("application/jsv", "{TokensUsed:7}"),
    ("application/xml", "<RecordAiChatUsage><TokensUsed>7</TokensUsed></RecordAiChatUsage>"),
    ("text/xml; charset=utf-8", "<RecordAiChatUsage xmlns='urn:x'><TokensUsed>7</TokensUsed></RecordAiChatUsage>"),
    ("text/csv", "CompanyId,TokensUsed\r\n,7\r\n"),
    ("text/jsonl", '{"tokensUsed":7}\n'),
    ("application/x-www-form-urlencoded", "tokensUsed=7"),
    ("multipart/form-data; boundary=B", '--B\r\nContent-Disposition: form-data; name="TokensUsed"\r\n\r\n7\r\n--B--'),
    ("application/x-msgpack", msgspec.msgpack.encode({"tokensUsed": 7})),
]


@pytest.mark.parametrize(("content_type", "body"), RECORD)
def test_a_body_is_read_by_its_type_on_a_route(asgi, company, content_type, body):
    reply = asgi.send("POST", USAGE, body, content_type=content_type, x_api_key=company)
    assert (reply.status, reply.json["tokensUsed"]) == (200, 7)


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("json", RECORD[0][1]),
        ("jsv", RECORD[2][1]),
        ("xml", RECORD[4][1]),
        ("csv", RECORD[6][1]),
        ("html", RECORD[0][1]),
    ],
)
def test_a_body_is_read_by_its_path_under_reply(asgi, company, key, body):
    target = f"/{key}/reply/RecordAiChatUsage"
    reply = asgi.send("POST", target, body, content_type="text/plain", x_api_key=company)
    assert reply.status == 200
    assert asgi.send("GET", f"{USAGE}.json", x_api_key=company).json["tokensUsed"] == 7


EVENTS = [
    ("application/json", '[{"id":"a","tokens":1},{"id":"b","tokens":2}]'),
    ("application/json", '{"events":[{"id":"a","tokens":1},{"id":"b","tokens":2}]}'),
    ("text/jsonl", '{"id":"a","tokens":1}\n{"id":"b","tokens":2}'),
    ("text/csv", "Id,Tokens\r\na,1\r\nb,2\r\n"),
    ("text/jsv", "[{Id:a,Tokens:1},{Id:b,Tokens:2}]"),
    ("application/xml", "<ArrayOfE><E><Id>a</Id><Tokens>1</Tokens></E><E><Id>b</Id><Tokens>2</Tokens></E></ArrayOfE>"),
    (
        "application/xml",
        "<ImportAiChatUsage><Events><E><Id>a</Id><Tokens>1</Tokens></E><E><Id>b</Id><Tokens>2</Tokens></E></Events>"
        "</ImportAiChatUsage>",
    ),
]


@pytest.mark.parametrize(("content_type", "body"), EVENTS)
def test_a_list_of_events_comes_in_every_format(asgi, company, content_type, body):
    target = f"{USAGE}/import"
    reply = asgi.send("POST", target, body, content_type=content_type, x_api_key=f"writer {company}")
    assert (reply.status, reply.json["accepted"]) == (200, 2)


def test_a_bad_row_of_events_does_not_stop_the_good(asgi, company):
    body = "Id,Tokens\r\na,1\r\nb,2,3\r\nc,x\r\nd,4\r\n"
    reply = asgi.send("POST", f"{USAGE}/import", body, content_type="text/csv", x_api_key=f"writer {company}")
    assert (reply.json["accepted"], reply.json["refused"]) == (2, 2)


@pytest.mark.parametrize(
    ("wish", "start"),
    [
        ("epcn", b'{"CompanyId":"'),
        ("elun", b'{"company_id":"'),
        ("edv", b'{"companyId":"%s","tokenLimit"'),
        ("pp", b'{\n    "companyId"'),
    ],
)
def test_jsconfig_changes_one_reply(asgi, company, wish, start):
    reply = asgi.send("GET", f"{API}?jsconfig={wish}", x_api_key=company)
    assert reply.body.startswith(start.replace(b"%s", company.encode()))
    assert asgi.send("GET", API, x_api_key=company).body.startswith(b'{"companyId":"')


def test_jsconfig_holds_for_errors_too(asgi):
    reply = asgi.send("GET", f"{API}?jsconfig=epcn")
    assert reply.json["ResponseStatus"]["ErrorCode"] == "Unauthorized"
    assert asgi.send("GET", f"{API}?jsconfig=elun&format=zzz").json["response_status"]["errors"] == []


@pytest.fixture
def open_house():
    asgi = Asgi(make_app(HttpSettings(style=Style(JsonCase.PASCAL), allows_jsonp=True)))
    yield asgi
    asgi.close()


def test_a_callback_means_nothing_unless_allowed(asgi, company):
    assert asgi.send("GET", f"{API}?callback=cb", x_api_key=company).headers["content-type"] == TYPES["json"]


def test_jsonp_calls_back(open_house, company):
    reply = open_house.send("GET", f"{USAGE}?callback=cb.x", x_api_key=company)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/javascript")
    assert reply.body.startswith(b'cb.x({"CompanyId":"')
    assert reply.body.endswith(b"})")


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("target", "accept", "key"),
    [
        (f"{USAGE}?callback=cb", BROWSER, "jsonp"),
        (f"{USAGE}?callback=cb", "application/xml", "jsonp"),
        (f"{API}?callback=cb", BROWSER, "jsonp"),
        (f"{USAGE}.json?callback=cb", BROWSER, "jsonp"),
        (f"{USAGE}?callback=cb&format=json", BROWSER, "jsonp"),
        (f"{USAGE}.xml?callback=cb", BROWSER, "xml"),
        (f"{USAGE}?callback=cb&format=csv", "*/*", "csv"),
        (f"{USAGE}?callback=", "application/xml", "xml"),
    ],
)
def test_a_callback_goes_before_accept_and_after_a_format_that_is_named(open_house, company, target, accept, key):
    reply = open_house.send("GET", target, x_api_key=company, accept=accept)
    assert reply.headers["content-type"] == {**TYPES, "jsonp": "text/javascript"}[key]


def test_jsonp_says_errors_with_status_200(open_house):
    reply = open_house.send("GET", f"{USAGE}?callback=cb")
    assert (reply.status, reply.body[:40]) == (200, b'cb({"ResponseStatus":{"ErrorCode":"Unaut')


def test_a_callback_that_is_no_name_is_refused(open_house, company):
    reply = open_house.send("GET", f"{USAGE}?callback=alert(1)//", x_api_key=company)
    assert (reply.status, reply.headers["content-type"]) == (400, TYPES["json"])


def test_a_page_links_to_the_other_formats(asgi, company):
    page = asgi.send("GET", f"{USAGE}?CompanyId={company}", x_api_key=company, accept="text/html").body.decode()
    assert f'<a href="/api/GetAiChatUsage.csv?companyid={company}">csv</a>' in page
    assert "<title>GetAiChatUsage Snapshot of " in page


def test_a_page_is_guarded(asgi, company):
    headers = asgi.send("GET", USAGE, x_api_key=company, accept="text/html").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
