"""What a credential decides is kept by no cache before us: few of them take `x-api-key` or our cookie for one."""

import json

import pytest

from kvot.http.app import HttpSettings
from kvot.http.early import HEAD_TOO_LARGE
from kvot.http.unconfigured import Unconfigured
from kvot.wire.formats import FORMATS
from tests.http.asgi import Asgi
from tests.http.conftest import Answer, FailingStore, TableAuthenticator, make_app

USAGE = "/assistant/ai-chat/usage"
API = "/api/GetAiChatUsage"
PROBLEM = "application/problem+json"


@pytest.fixture
def house():
    """With all that may answer beside the contract."""
    asgi = Asgi(make_app(HttpSettings(allows_jsonp=True), surfaces=[Unconfigured([], TableAuthenticator())]))
    yield asgi
    asgi.close()


def keeps_none(reply: Answer) -> bool:
    return reply.headers.get("cache-control") == "no-store"


@pytest.mark.parametrize("key", FORMATS)
def test_no_format_is_kept_nor_an_error_in_it(asgi, company, key):
    replies = [asgi.send("GET", f"{USAGE}.{key}", x_api_key=who) for who in (company, "wrong")]
    assert [(reply.status, keeps_none(reply)) for reply in replies] == [(200, True), (401, True)]


@pytest.mark.parametrize(
    ("verb", "target", "headers", "status"),
    [
        ("GET", API, {}, 200),
        ("HEAD", USAGE, {}, 200),
        ("GET", f"{USAGE}?callback=f", {}, 200),
        ("GET", f"{USAGE}/breakdown?By=model", {}, 200),
        ("GET", "/json/oneway/GetAiChatUsage", {}, 204),
        ("GET", f"{USAGE}/breakdown?At=x", {}, 400),
        ("GET", USAGE, {"accept": PROBLEM, "x_api_key": "wrong"}, 401),
        ("GET", f"{USAGE}?CompanyId={FailingStore.unavailable_company}", {"x_api_key": "super"}, 503),
        ("GET", f"{USAGE}?CompanyId={FailingStore.broken_company}", {"x_api_key": "super"}, 500),
        ("GET", f"{USAGE}?CompanyId={FailingStore.broken_company}", {"x_api_key": "super", "accept": PROBLEM}, 500),
        ("GET", "/api/zzz", {}, 405),
        ("GET", "/zzz", {}, 404),
        ("GET", "/zzz", {"accept": PROBLEM}, 404),
        ("GET", "/openai/v1/models", {}, 404),
        ("GET", "/livez", {}, 200),
        ("GET", "/readyz", {}, 200),
    ],
)
def test_nor_any_other_reply(house, company, verb, target, headers, status):
    reply = house.send(verb, target, **{"x_api_key": company, **headers})
    assert (reply.status, keeps_none(reply)) == (status, True)


def test_nor_a_key_that_was_made_nor_the_list_of_keys(asgi):
    made = asgi.send(
        "POST", "/apikeys", json.dumps({"roles": ["superadmin"]}), x_api_key="super", content_type="text/json"
    )
    listed = asgi.send("GET", "/apikeys", x_api_key="super")
    assert [(reply.status, keeps_none(reply)) for reply in (made, listed)] == [(200, True), (200, True)]


def test_nor_a_batch(asgi, company):
    reply = asgi.send("POST", f"{API}[]", "[{},{}]", x_api_key=company)
    assert (reply.status, keeps_none(reply)) == (200, True)


def test_nor_the_reply_to_what_never_became_a_request(asgi):
    assert b"\r\ncache-control: no-store\r\n" in asgi.app.early.reply(HEAD_TOO_LARGE, "GET", USAGE.encode())


def test_it_is_said_once(asgi, company):
    for target in (USAGE, f"{USAGE}.html", "/readyz"):
        assert asgi.send("GET", target, x_api_key=company).headers["cache-control"] == "no-store"
