"""Errors as problems (RFC 9457), for clients that ask for them by name, and for nobody else."""

import json

import pytest

from kvot.http.early import ADDRESS_TOO_LONG, HEAD_TOO_LARGE, UNKNOWN_METHOD
from tests.http.asgi import Asgi
from tests.http.conftest import FailingStore, make_app
from tests.http.test_holds import HOLDS, ask, reserve, set_budget

PROBLEM = "application/problem+json"
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"
USAGE = "/assistant/ai-chat/usage"


def asked(asgi, method, target, body=None, **headers):
    return asgi.send(method, target, body, **{"accept": PROBLEM, "content_type": "application/json", **headers})


@pytest.fixture
def spent(asgi, company):
    set_budget(asgi, company, tokenLimit=100, windowDays=1)
    ask(asgi, company, "POST", USAGE, {"tokensUsed": 30})
    return company


@pytest.mark.parametrize("path", [HOLDS, "/api/ReserveAiChatTokens"])
def test_a_budget_that_does_not_hold_the_tokens_is_a_problem_of_the_draft_s_type(asgi, spent, path):
    reply = asked(asgi, "POST", path, '{"tokens":80}', x_api_key=spent)
    problem = reply.json
    meta = problem.pop("meta")
    assert (reply.status, reply.headers["content-type"]) == (429, PROBLEM)
    assert problem == {
        "type": QUOTA,
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "80 tokens do not fit: of 100 in 1 day 30 are used and 0 held. "
        "They fit in 1 d if nothing else is spent.",
        "errorCode": "BudgetExceeded",
        "violated-policies": ["budget"],
    }
    assert (meta["Reason"], meta["TokensUsed"], meta["TokenLimit"]) == ("OverLimit", "30", "100")


def test_its_headers_are_those_of_any_other_refusal_and_name_the_policy_that_is_violated(asgi, spent):
    plain, problem = reserve(asgi, spent, 80), asked(asgi, "POST", HOLDS, '{"tokens":80,"holdId":"h"}', x_api_key=spent)
    differing = {"content-type", "content-length"}
    assert {n: v for n, v in plain.headers.items() if n not in differing} == {
        n: v for n, v in problem.headers.items() if n not in differing
    }
    assert problem.headers["ratelimit"] == '"budget";r=70;t=86400'


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status", "title", "code"),
    [
        ("POST", USAGE, "{", {}, 400, "Bad Request", "SerializationException"),
        ("GET", USAGE, None, {"x_api_key": "wrong"}, 401, "Unauthorized", "Unauthorized"),
        ("POST", "/api/CorrectAiChatUsage", "{}", {}, 403, "Forbidden", "Forbidden"),
        ("GET", f"{HOLDS}/nosuch", None, {}, 404, "Not Found", "NotFound"),
        ("GET", "/nosuch", None, {}, 404, "Not Found", "NotFound"),
        ("DELETE", USAGE, None, {}, 404, "Not Found", "NotFound"),
        ("GET", "/api/Nothing", None, {}, 405, "Method Not Allowed", "NotImplementedException"),
        ("GET", USAGE, None, {"x_api_key": FailingStore.unavailable_company}, 503, "Service Unavailable", None),
    ],
)
def test_any_other_has_no_type_of_its_own(asgi, company, method, target, body, headers, status, title, code):
    reply = asked(asgi, method, target, body, **{"x_api_key": company, **headers})
    problem = reply.json
    assert (reply.status, reply.headers["content-type"], reply.headers["vary"]) == (status, PROBLEM, "Accept")
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert problem["errorCode"] == (code or "StoreUnavailable")
    assert problem["detail"]
    assert "violated-policies" not in problem


def test_every_fault_of_a_request_is_listed(asgi, company):
    problem = asked(asgi, "POST", USAGE, '{"tokensUsed":0}', x_api_key=company).json
    (fault,) = problem["errors"]
    assert (fault["errorCode"], fault["fieldName"]) == ("GreaterThan", "TokensUsed")
    assert problem["detail"] == fault["message"]


def test_a_fault_of_ours_says_no_more_than_ever(asgi):
    reply = asked(asgi, "GET", USAGE, x_api_key=FailingStore.broken_company)
    problem = reply.json
    assert (reply.status, problem["title"]) == (500, "Internal Server Error")
    assert problem["detail"] == "The request could not be carried out."
    assert problem["meta"]["RequestId"]


def test_a_batch_says_which_of_its_items_failed(asgi, spent):
    items = '[{"holdId":"a","tokens":60},{"holdId":"b","tokens":60}]'
    reply = asked(asgi, "POST", "/api/ReserveAiChatTokens[]", items, x_api_key=spent)
    assert (reply.status, reply.json["meta"]["AutoBatchIndex"]) == (429, "1")
    assert reply.headers["x-autobatch-completed"] == "1"


def test_what_succeeds_is_no_problem(asgi, company):
    reply = asked(asgi, "GET", USAGE, x_api_key=company)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")


@pytest.mark.parametrize(
    ("target", "accept", "content_type"),
    [
        (HOLDS, "*/*", "application/json; charset=utf-8"),
        (HOLDS, "application/json", "application/json; charset=utf-8"),
        (HOLDS, "application/json, application/problem+json;q=0.5", "application/json; charset=utf-8"),
        (HOLDS, "text/csv, application/problem+json", PROBLEM),
        (f"{HOLDS}.xml", PROBLEM, "application/xml"),
        (f"{HOLDS}?format=json", PROBLEM, "application/json; charset=utf-8"),
        ("/json/reply/ReserveAiChatTokens", PROBLEM, "application/json; charset=utf-8"),
    ],
)
def test_nobody_else_gets_one_and_a_format_in_the_address_stays(asgi, spent, target, accept, content_type):
    reply = asked(asgi, "POST", target, '{"tokens":80}', accept=accept, x_api_key=spent)
    assert (reply.status, reply.headers["content-type"]) == (429, content_type)
    assert "content-disposition" not in reply.headers


def test_a_server_that_stops_says_so():
    asgi = Asgi(make_app())
    asgi.app.health.is_draining = True
    reply = asked(asgi, "GET", USAGE)
    asgi.close()
    assert (reply.status, reply.headers["content-type"], reply.json["status"]) == (503, PROBLEM, 503)
    assert (reply.headers["retry-after"], reply.headers["connection"]) == ("1", "close")


@pytest.mark.parametrize(
    ("fault", "url", "status"),
    [(ADDRESS_TOO_LONG, b"/", 414), (HEAD_TOO_LARGE, b"/api/x", 431), (UNKNOWN_METHOD, b"/?x=%zz", 405)],
)
def test_so_does_what_never_became_a_request(fault, url, status):
    data = make_app().early.reply(fault, "GET", url, [(b"accept", PROBLEM.encode())])
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (PROBLEM.encode() in head, json.loads(body)["status"]) == (True, status)
