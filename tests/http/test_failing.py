"""Who says what went wrong: the operation's own response type, or the ResponseStatus alone."""

import json

import pytest

from tests.http.conftest import FailingStore

USAGE = "/assistant/ai-chat/usage"
RECORD = "/api/RecordAiChatUsage"
OTHER = "00000000-0000-0000-0000-000000000001"
ZEROS = {"tokensUsed": 0, "tokenLimit": 0, "tokensRemaining": 0, "isWithinBudget": False, "windowDays": 0}


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status"),
    [
        ("POST", RECORD, "{}", {}, 400),
        ("POST", USAGE, "{}", {}, 400),
        ("GET", f"{USAGE}?CompanyId={OTHER}", None, {}, 403),
        ("GET", USAGE, None, {"x_api_key": FailingStore.unavailable_company}, 503),
        ("GET", USAGE, None, {"x_api_key": FailingStore.broken_company}, 500),
        ("POST", f"{RECORD}[]", "[{}]", {}, 400),
    ],
)
def test_rules_and_the_operation_itself_speak_by_the_response_type(
    asgi, company, method, target, body, headers, status
):
    reply = asgi.send(method, target, body, **{"x_api_key": company, **headers})
    members = list(reply.json)
    assert (reply.status, members) == (status, [*ZEROS, "responseStatus"])
    assert {name: reply.json[name] for name in ZEROS} == ZEROS


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status"),
    [
        ("GET", USAGE, None, {"x_api_key": "wrong"}, 401),
        ("GET", f"{USAGE}?CompanyId=zzz", None, {}, 400),
        ("POST", RECORD, "[", {}, 400),
        ("POST", RECORD, "{}", {"idempotency_key": "a b"}, 400),
        ("POST", "/api/CorrectAiChatUsage", "{}", {}, 403),
        ("GET", RECORD, None, {}, 405),
        ("GET", "/api/Nothing", None, {}, 405),
        ("POST", f"{RECORD}[]", '[{"tokensUsed":1},7]', {}, 400),
    ],
)
def test_what_comes_before_the_operation_has_the_status_alone(asgi, company, method, target, body, headers, status):
    reply = asgi.send(method, target, body, **{"x_api_key": company, **headers})
    assert (reply.status, list(reply.json)) == (status, ["responseStatus"])


@pytest.mark.parametrize("key", ["json", "jsv", "xml", "csv", "jsonl", "msgpack"])
def test_it_is_so_in_every_format(asgi, company, key):
    reply = asgi.send("POST", f"{USAGE}.{key}", "{}", content_type="application/json", x_api_key=company)
    assert reply.status == 400
    assert (b"indowDays" in reply.body, b"GreaterThan" in reply.body) == (True, True)


def test_a_page_shows_no_zeros_beside_an_error(asgi, company):
    reply = asgi.send("POST", f"{USAGE}.html", "{}", content_type="application/json", x_api_key=company)
    assert (reply.status, b"GreaterThan" in reply.body, b"indowDays" in reply.body) == (400, True, False)


def test_a_role_is_asked_for_after_the_request_is_bound_and_before_its_rules(asgi, company):
    reply = asgi.send("POST", "/api/CorrectAiChatUsage", "[", x_api_key=company)
    assert (reply.status, reply.error[0]) == (400, "SerializationException")
    reply = asgi.send("POST", "/api/CorrectAiChatUsage", "{}", x_api_key=company)
    assert (reply.status, reply.error[1]) == (403, "superadmin Role Required")


def test_an_error_of_a_list_is_a_row_of_its_own(asgi, company):
    reply = asgi.send("POST", "/api/ApiKeyQuery.jsonl", json.dumps({"companyId": OTHER}), x_api_key=f"writer {company}")
    assert reply.status == 403
    assert b'"errorCode":"Forbidden"' in reply.body
