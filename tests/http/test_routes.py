"""The ways to an operation beside its own path, and what lies beside the operations."""

from uuid import uuid4

import pytest

from kvot.contract import ROUTES
from kvot.http.app import HttpSettings
from tests.http.asgi import Asgi
from tests.http.conftest import make_app

USAGE = "/assistant/ai-chat/usage"
API = "/api/GetAiChatUsage"
RECORD = "/api/RecordAiChatUsage"


def test_head_says_what_get_would_without_its_body(asgi, company):
    got, headed = (asgi.send(method, USAGE, x_api_key=company) for method in ("GET", "HEAD"))
    assert headed.body == b""
    assert (headed.status, headed.headers) == (got.status, got.headers)
    assert asgi.send("HEAD", USAGE).status == 401


def test_head_has_no_body_on_the_wire_either(server, company):
    ask = b"HEAD /api/GetAiChatUsage HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: " + company.encode()
    reply = server.send_raw(ask + b"\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\n")


def test_one_way_is_carried_out_and_says_nothing(asgi, company):
    reply = asgi.send("POST", "/JSV/oneway/RecordAiChatUsage", "{TokensUsed:3}", x_api_key=company)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (204, b"", "0")
    assert asgi.send("GET", API, x_api_key=company).json["tokensUsed"] == 3
    assert asgi.send("POST", "/json/oneway/RecordAiChatUsage", "{}", x_api_key=company).status == 400


@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("POST", 204), ("HEAD", 200), ("OPTIONS", 200)])
@pytest.mark.parametrize("name", ["GetAiChatUsage", "GetAiChatUsage[]"])
def test_one_way_says_nothing_and_only_some_verbs_say_that_as_no_content(asgi, company, method, status, name):
    reply = asgi.send(method, f"/json/oneway/{name}", x_api_key=company)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (status, b"", "0")


@pytest.mark.parametrize(
    "target", ["/api/Nothing", "/api/Nothing[]", "/json/reply/Nothing", "/xml/oneway/nothing?format=x"]
)
@pytest.mark.parametrize("key", ["wrong", "company"])
def test_an_operation_that_does_not_exist_is_405(asgi, target, key):
    reply = asgi.send("GET", target, x_api_key=key)
    assert reply.status == 405
    assert b"NotImplementedException" in reply.body
    assert b"The operation does not exist for this service" in reply.body


def test_a_verb_that_an_operation_does_not_take_is_405(asgi):
    reply = asgi.send("GET", "/json/reply/RecordAiChatUsage")
    said = "Could not find method named Get(RecordAiChatUsage) or Any(RecordAiChatUsage) on Service BokaMera.API.Host"
    assert (reply.status, reply.error) == (405, ("NotImplementedException", said))


@pytest.mark.parametrize("target", ["/zzz", "/zzz/reply/GetAiChatUsage", f"{USAGE}.zzz", "/json/reply"])
def test_any_other_path_is_404_in_text(asgi, target):
    reply = asgi.send("GET", target, x_api_key="c", accept="application/json")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (404, b"404", "text/plain; charset=utf-8")


def test_the_verb_can_be_overridden(asgi, company):
    reply = asgi.send("POST", USAGE, x_api_key=company, x_http_method_override="get")
    assert (reply.status, reply.json["tokensUsed"]) == (200, 0)


@pytest.mark.parametrize(
    ("target", "body", "header", "tokens"),
    [
        (RECORD, None, "4", 4),
        (f"{RECORD}?tokensUsed=3", None, "4", 4),
        (RECORD, '{"tokensUsed":5}', "4", 5),
        (USAGE, '{"tokensUsed":5}', "4", 4),
        (f"{USAGE}?tokensUsed=3", '{"tokensUsed":5}', "4", 4),
    ],
)
def test_a_parameter_in_a_header_counts_as_query_and_before_it(asgi, company, target, body, header, tokens):
    headers = {"x_api_key": company, "content_type": "application/json", "x_param_override_tokensused": header}
    assert asgi.send("POST", target, body, **headers).json["tokensUsed"] == tokens


@pytest.mark.parametrize(
    ("headers", "target", "start"),
    [
        ({"x_param_override_format": "jsv"}, USAGE, b"{CompanyId:"),
        ({"x_param_override_format": "jsv"}, f"{USAGE}?format=xml", b"{CompanyId:"),
        ({"x_param_override_format": "jsv"}, f"{USAGE}.json", b'{"companyId":'),
        ({"x_param_override_jsconfig": "epcn"}, API, b'{"CompanyId":'),
        ({"x_param_override_callback": "cb"}, API, b'cb({"companyId":'),
    ],
)
def test_a_parameter_in_a_header_may_be_about_the_reply(company, headers, target, start):
    asgi = Asgi(make_app(HttpSettings(allows_jsonp=True)))
    assert asgi.send("GET", target, x_api_key=company, **headers).body.startswith(start)
    asgi.close()


def test_a_bad_parameter_in_a_header_is_named(asgi, company):
    reply = asgi.send("GET", USAGE, x_api_key=company, x_param_override_companyid="zzz")
    assert (reply.status, reply.fields) == (400, [("CompanyId", "SerializationException")])


@pytest.mark.parametrize(
    "target", [USAGE, "/zzz", "/livez", "/readyz", "/api", "/api/Nothing", "/json/oneway/GetAiChatUsage", "/a%ff.xml"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_every_reply_says_what_it_varies_by_and_who_made_it(asgi, company, target, method):
    headers = asgi.send(method, target, x_api_key=company).headers
    assert (headers["vary"], headers["x-powered-by"]) == ("Accept", "Kvot")


@pytest.mark.parametrize("target", ["/api", "/api/", "/API"])
def test_the_index_lists_every_operation(asgi, target):
    reply = asgi.send("GET", target)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    listed = reply.json["apis"]
    assert [each["name"] for each in listed] == [operation.name for operation in ROUTES]
    assert listed[0]["returns"] == "AiChatUsageResponse"
    assert listed[0]["links"]["api"] == API


ORIGIN = "https://app.example.com"


@pytest.fixture
def open_house():
    asgi = Asgi(make_app(HttpSettings(cors_origins=frozenset({ORIGIN}))))
    yield asgi
    asgi.close()


def cors(reply):
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control")}


def test_other_origins_are_closed_out(asgi, company):
    assert cors(asgi.send("GET", USAGE, x_api_key=company, origin=ORIGIN)) == {}
    assert cors(asgi.send("OPTIONS", USAGE, origin=ORIGIN)) == {}


@pytest.mark.parametrize(
    ("target", "name"),
    [(USAGE, "GetAiChatUsage"), (f"{USAGE}.jsv?format=json", "GetAiChatUsage"), (RECORD, "RecordAiChatUsage")],
)
def test_options_of_a_path_of_ours_is_no_unknown_path(asgi, target, name):
    reply = asgi.send("OPTIONS", target)
    said = f"Could not find method named Options({name}) or Any({name}) on Service BokaMera.API.Host"
    assert (reply.status, said.encode() in reply.body) == (405, True)
    assert asgi.send("OPTIONS", "/zzz").status == 404


@pytest.mark.parametrize("target", [USAGE, API, "/zzz"])
def test_a_listed_origin_may_ask_beforehand(open_house, target):
    reply = open_house.send("OPTIONS", target, origin=ORIGIN)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")
    assert cors(reply) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD",
        "access-control-allow-headers": "Content-Type, Authorization, X-Api-Key, Idempotency-Key",
        "access-control-max-age": "600",
        "access-control-expose-headers": "Retry-After, X-AutoBatch-Completed, RateLimit, RateLimit-Policy",
    }


@pytest.mark.parametrize("key", ["company", "wrong"])
def test_a_listed_origin_may_read_replies_and_errors(open_house, key):
    reply = open_house.send("GET", USAGE, x_api_key=key, origin=ORIGIN)
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["vary"] == "Accept, Origin"


@pytest.mark.parametrize("origin", ["https://app.example.com.evil", "http://app.example.com", "null", "*", ""])
def test_an_origin_that_is_not_listed_letter_by_letter_may_not(open_house, company, origin):
    for method in ("OPTIONS", "GET"):
        reply = open_house.send(method, USAGE, x_api_key=company, origin=origin)
        assert (reply.status, cors(reply)) == (200, {})
        assert "Origin" in reply.headers["vary"]


@pytest.mark.parametrize(
    ("target", "key", "reason"),
    [
        (USAGE, "wrong", "Not Authenticated"),
        (f"{USAGE}?CompanyId=zzz", "c", "SerializationException"),
        ("/json/reply/RecordAiChatUsage", "c", "NotImplementedException"),
        (f"{USAGE}?CompanyId={uuid4()}", "c", "The credential may not act for another company."),
        (USAGE, "super", "The credential speaks for no company: name one as CompanyId."),
    ],
)  # fmt: skip
def test_a_failure_says_its_reason_beside_the_status(server, target, key, reason):
    head = f"GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n"
    status_line = server.send_raw(head.encode()).partition(b"\r\n")[0].decode()
    assert status_line.split(" ", 2)[2] == reason


def test_the_reason_is_on_the_wire(server):
    reply = server.send_raw(b"GET /api/GetAiChatUsage HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 401 Not Authenticated\r\n")
    assert reply.endswith(b'"message":"Not Authenticated","errors":[]}}')


def test_a_reason_holds_for_one_reply_of_a_connection(server, company):
    ask = b"GET /api/GetAiChatUsage HTTP/1.1\r\nhost: h\r\n"
    good = ask + b"x-api-key: " + company.encode() + b"\r\nconnection: close\r\n\r\n"
    reply = server.send_raw(ask + b"\r\n" + good)
    assert (reply.count(b"HTTP/1.1 401 Not Authenticated\r\n"), reply.count(b"HTTP/1.1 200 OK\r\n")) == (1, 1)
