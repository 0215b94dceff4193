"""What the kernel promises, over a real socket."""

import json
from uuid import uuid4

import pytest

USAGE = "/assistant/ai-chat/usage"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BOOM = "00000000-0000-0000-0000-00000000beef"
BUSY = "00000000-0000-0000-0000-00000000dead"


def test_usage_is_answered_in_json(server, company):
    reply = server.send("GET", USAGE, x_api_key=company)
    assert reply.status == 200
    assert reply.body == (
        b'{"companyId":"%s","tokensUsed":0,"tokenLimit":1000000,"tokensRemaining":1000000,'
        b'"isWithinBudget":true,"windowDays":30}' % company.encode()
    )
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["vary"] == "Accept"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert "server" not in reply.headers


JSV_START = b"{CompanyId:"


@pytest.mark.parametrize(
    ("target", "accept", "content_type"),
    [
        (USAGE, "text/jsv", "text/jsv"),
        (USAGE, "application/jsv;q=0.9, application/json;q=0.1", "text/jsv"),
        (USAGE + "?format=jsv", "application/json", "text/jsv"),
        (USAGE + "?FORMAT=JSV", "application/json", "text/jsv"),
        (USAGE + ".jsv", "application/json", "text/jsv"),
        (USAGE + ".jsv?format=json", "application/json", "text/jsv"),
        (USAGE + ".json", "text/jsv", "application/json; charset=utf-8"),
        (USAGE, "*/*", "application/json; charset=utf-8"),
        (USAGE, "image/png", "application/json; charset=utf-8"),
        ("/api/GetAiChatUsage", "text/jsv", "application/json; charset=utf-8"),
        ("/api/GetAiChatUsage.jsv", "application/json", "text/jsv"),
        ("/api/GetAiChatUsage?format=jsv", "application/json", "text/jsv"),
    ],
)
def test_extension_over_format_over_accept(server, company, target, accept, content_type):
    reply = server.send("GET", target, x_api_key=company, accept=accept)
    assert (reply.status, reply.headers["content-type"]) == (200, content_type)
    assert reply.body.startswith(JSV_START) is (content_type == "text/jsv")


@pytest.mark.parametrize(
    "target",
    [
        USAGE.upper(),
        USAGE + "/",
        "/Assistant/AI-Chat/Usage.JSON",
        "/api/getaichatusage",
        "/API/GETAICHATUSAGE.JSON",
        "/api/GetAiChatUsage/",
        "/assistant/ai%2Dchat/usage",
    ],
)
def test_paths_match_in_any_case(server, company, target):
    assert server.send("GET", target, x_api_key=company).json["companyId"] == company


@pytest.mark.parametrize(("target", "verb"), [(USAGE, "GET"), (USAGE, "POST"), ("/api/RecordAiChatUsage", "POST")])
def test_nobody_is_let_in_without_a_credential(server, target, verb):
    reply = server.send(verb, target, '{"tokensUsed":1}', accept=JSON, content_type="application/json")
    assert reply.status == 401
    assert reply.body == b'{"responseStatus":{"errorCode":"Unauthorized","message":"Not Authenticated","errors":[]}}'
    assert "www-authenticate" not in reply.headers
    assert "location" not in reply.headers


def test_a_malformed_request_is_told_so_whoever_sends_it_and_nothing_else(server):
    anonymous = server.send("POST", "/api/RecordAiChatUsage", "{", accept=JSON)
    assert (anonymous.status, anonymous.error[0]) == (400, "SerializationException")
    assert server.send("GET", f"{USAGE}?companyId=zzz", accept=JSON).status == 400


def test_an_expired_token_says_so(server):
    reply = server.send("GET", USAGE, authorization="Bearer expired", accept="text/jsv")
    assert reply.status == 401
    assert reply.body == b"{ResponseStatus:{ErrorCode:TokenException,Message:Token has expired,Errors:[]}}"


def test_who_fails_too_often_is_told_when_to_come_back(server):
    reply = server.send("GET", USAGE, x_api_key="often")
    assert (reply.status, reply.headers["retry-after"], reply.error[0]) == (429, "2", "TooManyRequests")


# -- whose ledger ------------------------------------------------------------------------------------------------------

CARRIERS = [
    ("GET", USAGE + "?CompanyId={id}", None, ""),
    ("GET", USAGE + "?companyid={id}", None, ""),
    ("GET", USAGE + "?COMPANYID=%7B{ID}%7D", None, ""),
    ("GET", USAGE + "?companyId={hex}", None, ""),
    ("GET", USAGE + ".jsv?CompanyId={id}&format=json", None, ""),
    ("GET", "/api/GetAiChatUsage?CompanyId={id}", None, ""),
    ("POST", "/api/GetAiChatUsage", '{{"companyId":"{id}"}}', JSON),
    ("POST", "/api/RecordAiChatUsage?CompanyId={id}", '{{"tokensUsed":7}}', JSON),
    ("POST", "/api/RecordAiChatUsage", '{{"CompanyId":"{hex}","tokensUsed":7}}', "text/plain"),
    ("POST", "/api/RecordAiChatUsage", '{{"tokensUsed":7,"companyId":null,"COMPANYID":"{id}"}}', JSON),
    ("POST", "/api/RecordAiChatUsage", "companyId={id}&tokensUsed=7", FORM),
    ("PUT", "/api/RecordAiChatUsage.jsv", "{{CompanyId:{id},TokensUsed:7}}", "text/jsv"),
    ("POST", USAGE, '{{"companyId":"{id}","tokensUsed":7}}', JSON),
    ("POST", USAGE, "{{CompanyId:{id},TokensUsed:7}}", "text/jsv"),
    ("POST", USAGE, '{{"companyid":"{{{ID}}}",TokensUsed:7}}', "application/x-jsv"),
    ("POST", USAGE, "companyId={id}&tokensUsed=7", FORM),
    ("POST", USAGE + "?companyId={id}", '{{"tokensUsed":7}}', JSON),
]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_foreign_company_is_refused_in_every_carrier(server, company, carrier):
    verb, target, body, content_type = carrier
    other = str(uuid4())
    names = {"id": other, "ID": other.upper(), "hex": other.replace("-", "")}
    reply = server.send(
        verb, target.format(**names), body and body.format(**names), content_type=content_type, x_api_key=company
    )
    assert (reply.status, other.encode() in reply.body) == (403, False)
    assert b"Forbidden" in reply.body
    for each in (company, other):
        assert server.send("GET", USAGE, x_api_key=each).json["tokensUsed"] == 0


TWICE = [
    ("/api/RecordAiChatUsage?companyId={other}", '{{"companyId":"{own}","tokensUsed":7}}', JSON),
    ("/api/RecordAiChatUsage?companyId={own}", '{{"companyId":"{other}","tokensUsed":7}}', JSON),
    ("/api/RecordAiChatUsage?companyId={other}", "companyId={own}&tokensUsed=7", FORM),
    ("/api/RecordAiChatUsage", '{{"CompanyId":"{other}","companyId":"{own}","tokensUsed":7}}', JSON),
    (USAGE + "?companyId={own}", '{{"companyId":"{other}","tokensUsed":7}}', JSON),
    (USAGE + "?companyId={own}", "companyId={other}&tokensUsed=7", FORM),
]


@pytest.mark.parametrize(("target", "body", "content_type"), TWICE)
def test_a_request_that_names_two_companies_is_refused_whichever_would_win(server, company, target, body, content_type):
    names = {"own": company, "other": str(uuid4())}
    reply = server.send(
        "POST", target.format(**names), body.format(**names), content_type=content_type, x_api_key=company
    )
    assert (reply.status, reply.error[0]) == (403, "Forbidden")
    assert server.send("GET", USAGE, x_api_key=company).json["tokensUsed"] == 0


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_own_company_may_be_named_in_every_carrier(server, company, carrier):
    verb, target, body, content_type = carrier
    names = {"id": company, "ID": company.upper(), "hex": company.replace("-", "")}
    reply = server.send(
        verb, target.format(**names), body and body.format(**names), content_type=content_type, x_api_key=company
    )
    assert reply.status == 200
    assert company.encode() in reply.body


def test_two_companies_in_one_query_are_refused(server, company):
    reply = server.send("GET", f"{USAGE}?CompanyId={company}&CompanyId={uuid4()}", x_api_key=company)
    assert (reply.status, reply.fields) == (400, [("CompanyId", "SerializationException")])


def test_a_superadmin_names_any_company_and_must_name_one(server, company):
    assert server.send("GET", f"{USAGE}?CompanyId={company}", x_api_key="super").json["companyId"] == company
    assert server.send("GET", USAGE, x_api_key="super").status == 403


def test_a_role_is_asked_of_the_operation(server, company):
    body = '{"eventId":"e","tokens":1,"reason":"r"}'
    for target in (USAGE + "/corrections", "/api/CorrectAiChatUsage"):
        reply = server.send("POST", target, body, content_type=JSON, x_api_key=company)
        assert (reply.status, reply.error) == (403, ("Forbidden", "superadmin Role Required"))


# -- recording ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{}", JSON),
        ("", JSON),
        ('{"tokensUsed":0}', JSON),
        ('{"tokensUsed":-1}', JSON),
        ('{"tokensUsed":"abc"}', JSON),
        ('{"tokensUsed":9223372036854775808}', JSON),
        ("{TokensUsed:9223372036854775808}", "text/jsv"),
        ("tokensUsed=0", FORM),
        ("anything", "image/png"),
    ],
)
def test_tokens_must_be_greater_than_zero(server, company, body, content_type):
    reply = server.send("POST", USAGE, body, content_type=content_type, x_api_key=company, accept=JSON)
    (error,) = reply.json["responseStatus"]["errors"]
    assert reply.status == 400
    assert reply.error == ("GreaterThan", "'Tokens Used' must be greater than '0'.")
    assert (error["fieldName"], error["errorCode"]) == ("TokensUsed", "GreaterThan")
    assert error["meta"]["PropertyName"] == "Tokens Used"
    assert error["meta"]["ComparisonValue"] == "0"


@pytest.mark.parametrize("tokens", ["9223372036854775808", "abc", "1.5", "1,2"])
def test_a_bad_number_in_a_query_or_form_is_named(server, company, tokens):
    for body, target in ((None, f"{USAGE}?tokensUsed={tokens}"), (f"tokensUsed={tokens}", USAGE)):
        reply = server.send("POST", target, body, content_type=FORM, x_api_key=company)
        assert reply.error == ("SerializationException", "Unable to bind to request 'RecordAiChatUsage'")
        assert reply.fields == [("TokensUsed", "SerializationException")]


@pytest.mark.parametrize(
    ("target", "body"),
    [(USAGE + "?CompanyId=zzz", None), ("/api/GetAiChatUsage?companyId=zzz", None)],
)
def test_a_bad_guid_is_named(server, company, target, body):
    reply = server.send("GET", target, body, x_api_key=company)
    assert (reply.status, reply.json) == (
        400,
        {
            "responseStatus": {
                "errorCode": "SerializationException",
                "message": "Unable to bind to request 'GetAiChatUsage'",
                "errors": [
                    {
                        "errorCode": "SerializationException",
                        "fieldName": "CompanyId",
                        "message": "'zzz' is an Invalid value for 'CompanyId'",
                    }
                ],
            }
        },
    )


def record(server, company, tokens, **headers):
    return server.send(
        "POST", USAGE, json.dumps({"tokensUsed": tokens}), content_type=JSON, x_api_key=company, **headers
    )


def test_recording_answers_with_the_usage_after_it(server, company):
    assert record(server, company, 120).json["tokensUsed"] == 120
    reply = record(server, company, 2_000_000)
    assert (reply.status, reply.json["tokensUsed"], reply.json["isWithinBudget"]) == (200, 2_000_120, False)
    assert reply.json["tokensRemaining"] == 0


def test_a_retry_with_its_key_counts_once(server, company):
    first = record(server, company, 5, idempotency_key="k-1")
    assert first.json["tokensUsed"] == 5
    assert record(server, company, 5, idempotency_key="k-1").body == first.body
    reply = record(server, company, 6, idempotency_key="k-1")
    assert (reply.status, reply.error[0]) == (409, "Conflict")
    assert server.send("GET", USAGE, x_api_key=company).json["tokensUsed"] == 5


@pytest.mark.parametrize("key", ["", "a b", "å", "x" * 256, "tab\there"])
def test_a_key_that_is_none_is_named(server, company, key):
    reply = server.send("POST", USAGE, b"{}", x_api_key=company, idempotency_key=key.encode("latin-1"))
    assert (reply.status, "Idempotency-Key" in reply.error[1]) == (400, True)


def test_the_longest_key_is_taken(server, company):
    assert record(server, company, 5, idempotency_key="~" * 255).status == 200


# -- bodies that are not what they should be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b'{"tokensUsed":1', "text/jsonl", "A '}' is missing at the end."),
        (b"TokensUsed\r\n1,2\r\n", "text/csv", "The row has 2 cells, and the header 1."),
        (b'{"tokensUsed":1', JSON, "A '}' is missing at the end."),
        (b"nonsense", JSON, "Expected '{'."),
        (b"[1]", JSON, "Expected '{'."),
        (b'{"a":"\xff\xfe"}', JSON, "It is not UTF-8"),
        (b'{"a":' * 10_000, JSON, "nests more than 64 levels"),
        (b'{"a":[' + b"1," * 20_000 + b"1]}", JSON, "more than 10000 members"),
        (b"{TokensUsed:1", "text/jsv", "A '}' is missing at the end."),
        (b"{TokensUsed:1}}", "text/jsv", "Unexpected text after the closing bracket"),
        (b"{A:" * 10_000, "text/jsv", "nests more than 64 levels"),
        (b"{A:\xff}", "text/jsv", "It is not UTF-8"),
    ],
)
def test_a_broken_body_is_refused_with_the_reason(server, company, body, content_type, reason):
    reply = server.send("POST", USAGE, body, content_type=content_type, x_api_key=company)
    assert (reply.status, reply.error[0]) == (400, "SerializationException")
    first = f"Could not deserialize '{content_type}' request using RecordAiChatUsage\nError: "
    assert reply.error[1].startswith(first)
    assert reason in reply.error[1]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (USAGE + "?CompanyId=%ff", "not UTF-8"),
        (USAGE + "?" + "a=1&" * 1_001, "more than 1000 fields"),
    ],
)
def test_a_broken_query_is_refused_with_the_reason(server, company, target, reason):
    reply = server.send("GET", target, x_api_key=company)
    assert (reply.status, reason in reply.error[1]) == (400, True)


def test_a_body_beyond_the_bound_is_refused(server, company):
    body = b'{"tokensUsed":7,"pad":"%s"}'
    most = body % (b"x" * (1_048_576 - len(body) + 2))
    assert len(most) == 1_048_576
    assert server.send("POST", USAGE, most, content_type=JSON, x_api_key=company).status == 200
    reply = server.send("POST", USAGE, most + b" ", content_type=JSON, x_api_key=company)
    assert (reply.status, reply.error[0]) == (413, "RequestTooLarge")


def test_a_compressed_body_is_refused(server, company):
    reply = server.send("POST", USAGE, b"\x1f\x8b", content_encoding="gzip", x_api_key=company)
    assert (reply.status, "Content-Encoding" in reply.error[1]) == (400, True)


@pytest.mark.parametrize("format_", ["zzz", "yaml", "proto"])
def test_an_unknown_format_is_refused(server, company, format_):
    reply = server.send("GET", f"{USAGE}?format={format_}", x_api_key=company)
    assert (reply.status, f"'{format_}' is not known" in reply.error[1]) == (400, True)


# -- paths and verbs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "target"),
    [
        ("POST", "/"),
        ("GET", "/assistant"),
        ("GET", USAGE + ".zzz"),
        ("GET", USAGE + "/x"),
        ("DELETE", USAGE),
        ("GET", "/apikeys/a/b"),
        ("GET", "/apikeys/a"),
        ("GET", "/apikeys/%ff/b"),
    ],
)
def test_an_unknown_path_is_a_plain_404(server, verb, target):
    reply = server.send(verb, target, accept=JSON)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (404, b"404", "text/plain; charset=utf-8")


@pytest.mark.parametrize("target", ["/api/Nothing", "/api/Nothing.json", "/api/GetAiChatUsage/x"])
def test_an_unknown_operation_is_a_405(server, target):
    reply = server.send("GET", target)
    assert reply.status == 405
    assert reply.error == ("NotImplementedException", "The operation does not exist for this service")


@pytest.mark.parametrize(
    ("verb", "operation", "status"),
    [
        ("GET", "GetAiChatUsage", 200),
        ("POST", "GetAiChatUsage", 200),
        ("PUT", "GetAiChatUsage", 200),
        ("PATCH", "GetAiChatUsage", 200),
        ("DELETE", "GetAiChatUsage", 200),
        ("OPTIONS", "GetAiChatUsage", 200),
        ("HEAD", "GetAiChatUsage", 200),
        ("POST", "RecordAiChatUsage", 400),
        ("PUT", "RecordAiChatUsage", 400),
        ("GET", "RecordAiChatUsage", 405),
        ("PATCH", "RecordAiChatUsage", 405),
        ("DELETE", "RecordAiChatUsage", 405),
        ("OPTIONS", "RecordAiChatUsage", 405),
        ("HEAD", "RecordAiChatUsage", 405),
    ],
)
def test_the_verbs_of_api(server, company, verb, operation, status):
    assert server.send(verb, f"/api/{operation}", x_api_key=company).status == status


def test_a_verb_that_an_operation_does_not_take_is_named(server, company):
    assert server.send("PATCH", "/api/RecordAiChatUsage", x_api_key=company).error == (
        "NotImplementedException",
        "Could not find method named Patch(RecordAiChatUsage) or Any(RecordAiChatUsage) on Service BokaMera.API.Host",
    )


def test_head_is_get_without_its_body(server, company):
    get, head = (server.send(verb, USAGE, x_api_key=company) for verb in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


def test_an_override_replaces_the_verb(server, company):
    body = b'{"tokensUsed":7}'
    reply = server.send("POST", USAGE, body, x_api_key=company, x_http_method_override="get")
    assert (reply.status, reply.json["tokensUsed"]) == (200, 0)
    reply = server.send("GET", USAGE, body, content_type=JSON, x_api_key=company, X_HTTP_Method_Override="POST")
    assert (reply.status, reply.json["tokensUsed"]) == (200, 7)


def test_a_body_of_a_verb_that_has_none_means_nothing(server, company):
    body = json.dumps({"companyId": str(uuid4())})
    assert server.send("GET", USAGE, body, content_type=JSON, x_api_key=company).json["companyId"] == company


# -- what is ours ------------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_answer_is_a_503_that_says_when(server):
    reply = server.send("GET", USAGE, x_api_key=BUSY)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert reply.error[0] == "StoreUnavailable"


def test_why_a_store_cannot_answer_is_logged_and_not_told(server):
    server.lines.clear()
    reply = server.send("GET", USAGE, x_api_key=BUSY)
    assert b"busy" not in reply.body
    assert server.lines.next() == ("store unavailable", {"operation": "GetAiChatUsage", "reason": "The store is busy."})


def test_a_fault_of_ours_says_nothing_of_itself(server):
    server.lines.clear()
    reply = server.send("GET", USAGE, x_api_key=BOOM, accept=JSON)
    status = reply.json["responseStatus"]
    assert (reply.status, status["errorCode"]) == (500, "InternalServerError")
    assert b"SELECT" not in reply.body
    assert b"ValueError" not in reply.body
    event, fields = server.lines.next()
    assert (event, fields["request_id"]) == ("unforeseen error", status["meta"]["RequestId"])
    assert (fields["error"], fields["operation"]) == ("ValueError", "GetAiChatUsage")
    assert fields["at"][-1].endswith(" usage")
    assert "SELECT" not in repr(fields)


def test_an_error_is_written_in_the_format_of_the_reply(server, company):
    reply = server.send("POST", USAGE + ".jsv", "{}", content_type=JSON, x_api_key=company)
    assert reply.headers["content-type"] == "text/jsv"
    assert b",ResponseStatus:{ErrorCode:GreaterThan,Message:'Tokens Used' must be greater" in reply.body


@pytest.mark.parametrize("name", ["x_api_key", "idempotency_key", "content_type"])
def test_a_header_that_may_come_once_may_not_come_twice(server, company, name):
    header = name.replace("_", "-")
    lines = (
        f"POST {USAGE} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{header}: {company}\r\n{header}: {uuid4()}\r\n\r\n"
    )
    assert b" 400 " in server.send_raw(lines.encode())


def test_a_request_is_logged_in_one_line_that_says_nothing_of_its_content(server, company):
    server.lines.clear()
    target = f"/api/GetAiChatUsage?secret-query=1&CompanyId={uuid4()}"
    server.send("POST", target, '{"secret":"body"}', content_type="secret/type", x_api_key=company, secret="header")
    event, fields = server.lines.next()
    assert event == "request"
    assert fields.pop("duration_ms") > 0
    assert fields == {
        "operation": "GetAiChatUsage",
        "method": "POST",
        "company": company,
        "credential": "key-company",
        "status": 403,
    }


def test_an_anonymous_request_is_logged_without_a_company(server):
    server.lines.clear()
    server.send("GET", "/secret/path")
    _, fields = server.lines.next()
    assert (fields["status"], fields["company"], fields["operation"]) == (404, None, None)
    assert "secret" not in repr(fields)
