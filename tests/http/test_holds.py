"""Holds over HTTP: their paths, their replies in every format, and what a refusal says in body and headers."""

import json
from uuid import uuid4

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import holds_wait_ms, whole_seconds
from kvot.core.ledger import Ledger
from kvot.core.window import MS_PER_DAY
from kvot.http.app import App
from kvot.http.health import Health
from kvot.operations import Services
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.sqlite import SqliteStore
from kvot.wire.formats import FORMATS
from tests.http.asgi import Asgi
from tests.http.conftest import NOW_MS, TableAuthenticator

HOLDS = "/assistant/ai-chat/holds"
JSON = {"content_type": "application/json"}


def ask(asgi, company, method, target, body=None, **headers):
    text = None if body is None else json.dumps(body)
    return asgi.send(method, target, text, x_api_key=company, **JSON, **headers)


def reserve(asgi, company, tokens=40, hold_id="h", **members):
    return ask(asgi, company, "POST", HOLDS, {"tokens": tokens, "holdId": hold_id, **members})


def set_budget(asgi, company, **budget):
    ask(asgi, "super", "PUT", "/assistant/ai-chat/budget", {"companyId": company, **budget})


def test_a_hold_s_life_on_its_own_paths(asgi, company):
    held = reserve(asgi, company, model="m")
    assert held.status == 200
    assert held.json == {
        "companyId": company,
        "holdId": "h",
        "holdState": "open",
        "holdTokens": 40,
        "holdCreatedAt": f"/Date({NOW_MS})/",
        "holdExpiresAt": f"/Date({NOW_MS + 120_000})/",
        "tokensUsed": 0,
        "tokensHeld": 40,
        "tokenLimit": 1_000_000,
        "tokensRemaining": 1_000_000,
        "isWithinBudget": True,
        "windowDays": 30,
    }
    assert ask(asgi, company, "GET", f"{HOLDS}/h").json == held.json
    renewed = ask(asgi, company, "PUT", f"{HOLDS}/h", {"ttlSeconds": 300})
    assert renewed.json["holdExpiresAt"] == f"/Date({NOW_MS + 300_000})/"
    settled = ask(asgi, company, "POST", f"{HOLDS}/h/settle", {"tokensUsed": 25, "inputTokens": 20})
    assert settled.json["holdState"] == "settled"
    assert settled.json["holdTokensUsed"] == settled.json["tokensUsed"] == 25
    late = ask(asgi, company, "DELETE", f"{HOLDS}/h")
    assert (late.status, late.error[0]) == (409, "HoldClosed")
    assert ask(asgi, company, "DELETE", f"{HOLDS}/none").status == 404


def test_the_idempotency_key_names_the_hold(asgi, company):
    first, again = (ask(asgi, company, "POST", HOLDS, {"tokens": 5}, idempotency_key="k1") for _ in range(2))
    assert first.json == again.json
    assert (first.json["holdId"], first.json["tokensHeld"]) == ("k1", 5)


@pytest.mark.parametrize("key", FORMATS)
def test_every_format_reserves_and_replies(asgi, company, key):
    made = asgi.send("POST", f"{HOLDS}.{key}?Tokens=40&HoldId=h", x_api_key=company)
    assert (made.status, made.headers["content-type"]) == (200, FORMATS[key].content_type)
    settled = asgi.send("POST", f"{HOLDS}/h/settle.{key}?TokensUsed=25", x_api_key=company)
    assert (settled.status, settled.headers["content-type"]) == (200, FORMATS[key].content_type)
    assert ask(asgi, company, "GET", f"{HOLDS}/h").json["tokensUsed"] == 25


def test_an_id_may_look_like_an_extension_where_more_path_follows(asgi, company):
    reserve(asgi, company, hold_id="a.xml")
    assert ask(asgi, company, "POST", f"{HOLDS}/a.xml/settle", {"tokensUsed": 1}).json["holdId"] == "a.xml"
    assert ask(asgi, company, "GET", f"{HOLDS}/a.xml.json").json["holdId"] == "a.xml"


def test_holds_by_their_predefined_paths_and_in_batches(asgi, company):
    items = [{"tokens": 1}, {"tokens": 2}]
    made = ask(asgi, company, "POST", "/api/ReserveAiChatTokens[]", items, idempotency_key="k")
    assert [each["holdTokens"] for each in made.json] == [1, 2]
    assert len({each["holdId"] for each in made.json}) == 2
    body = {"holdId": made.json[0]["holdId"], "tokensUsed": 1}
    assert ask(asgi, company, "POST", "/api/SettleAiChatHold", body).json["tokensHeld"] == 2


def test_a_value_of_the_wrong_type_is_refused_rather_than_skipped(asgi, company):
    for body in ({"tokens": 1, "holdId": {}}, {"tokens": 1, "ttlSeconds": "soon"}):
        assert ask(asgi, company, "POST", HOLDS, body).error[0] == "SerializationException"
    assert ask(asgi, company, "GET", "/assistant/ai-chat/usage/report").json["tokensHeld"] == 0


# -- refusals ------------------------------------------------------------------------------------------------


def test_a_refusal_says_what_is_used_and_held_and_how_long_to_wait(asgi, company):
    set_budget(asgi, company, tokenLimit=100, windowDays=1)
    ask(asgi, company, "POST", "/assistant/ai-chat/usage", {"tokensUsed": 30})
    reserve(asgi, company, 50)
    refused = reserve(asgi, company, 80, "other")
    wait_s = MS_PER_DAY // 1_000 + 120  # the 50 may be charged when they run out
    assert refused.status == 429
    assert refused.error == (
        "BudgetExceeded",
        "80 tokens do not fit: of 100 in 1 day 30 are used and 50 held. They fit in 1 d 1 h if nothing else is spent.",
    )
    assert refused.json["responseStatus"]["meta"] == {
        "Reason": "OverLimit",
        "Tokens": "80",
        "CompanyId": company,
        "At": "2027-01-15T08:00:00Z",
        "TokensUsed": "30",
        "TokensHeld": "50",
        "TokenLimit": "100",
        "TokensRemaining": "70",
        "TokensAvailable": "20",
        "IsWithinBudget": "true",
        "WindowDays": "1",
        "FitsAfterSeconds": str(wait_s),
        "RetryAfterSeconds": str(wait_s),
    }
    assert refused.headers["retry-after"] == str(wait_s)
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["ratelimit-policy"] == '"budget";q=100;w=86400;kvot-unit="tokens"'
    assert refused.headers["ratelimit"] == f'"budget";r=20;t={wait_s}'


def test_a_refusal_s_members_tell_the_usage_as_it_is_and_a_hold_that_is_none(asgi, company):
    set_budget(asgi, company, tokenLimit=100, windowDays=1)
    ask(asgi, company, "POST", "/assistant/ai-chat/usage", {"tokensUsed": 30})
    reserve(asgi, company, 50)
    refused = reserve(asgi, company, 80, "other").json
    refused.pop("responseStatus")
    usage = {"tokensUsed": 30, "tokensHeld": 50, "tokenLimit": 100, "tokensRemaining": 70}
    rest = {"companyId": company, "isWithinBudget": True, "windowDays": 1}
    assert refused == {"holdTokens": 0, **usage, **rest}


# How each format writes that 30 of 100 tokens are used.
TOLD = {
    "json": b'"tokensUsed":30,"tokensHeld":0,"tokenLimit":100',
    "jsv": b"TokensUsed:30,TokensHeld:0,TokenLimit:100",
    "xml": b"<TokensUsed>30</TokensUsed>",
    "csv": b",30,0,100,70,",
    "jsonl": b'"tokensUsed":30,"tokensHeld":0,"tokenLimit":100',
    "msgpack": b"okensUsed\x1e",
}


@pytest.mark.parametrize("key", TOLD)
def test_it_does_so_in_every_format_that_has_members(asgi, company, key):
    set_budget(asgi, company, tokenLimit=100)
    ask(asgi, company, "POST", "/assistant/ai-chat/usage", {"tokensUsed": 30})
    refused = asgi.send("POST", f"{HOLDS}.{key}?Tokens=80", x_api_key=company)
    assert (refused.status, TOLD[key] in refused.body) == (429, True)


def test_where_open_holds_alone_are_in_the_way_the_caller_is_to_ask_again_soon(asgi, company):
    set_budget(asgi, company, tokenLimit=100, windowDays=1)
    ask(asgi, company, "POST", "/assistant/ai-chat/usage", {"tokensUsed": 30})
    reserve(asgi, company, 50)
    refused = reserve(asgi, company, 70, "other")
    meta = refused.json["responseStatus"]["meta"]
    assert (refused.status, meta["Reason"]) == (429, "OpenHolds")
    soon = str(whole_seconds(holds_wait_ms("other")))
    assert (meta["FitsAfterSeconds"], meta["RetryAfterSeconds"]) == (str(MS_PER_DAY // 1_000 + 120), soon)
    assert (refused.headers["retry-after"], "x-should-retry" in refused.headers) == (soon, False)
    assert refused.headers["ratelimit"] == f'"budget";r=20;t={soon}'


def test_where_waiting_cannot_help_there_is_no_retry_after(asgi, company):
    set_budget(asgi, company, tokenLimit=100)
    refused = reserve(asgi, company, 101)
    assert (refused.status, refused.json["responseStatus"]["meta"]["Reason"]) == (429, "AboveLimit")
    assert "retry-after" not in refused.headers
    assert "RetryAfterSeconds" not in refused.json["responseStatus"]["meta"]
    assert (refused.headers["x-should-retry"], refused.headers["ratelimit"]) == ("false", '"budget";r=100')


@pytest.mark.parametrize("key", FORMATS)
def test_a_refusal_is_one_in_every_format(asgi, company, key):
    refused = asgi.send("POST", f"{HOLDS}.{key}?Tokens=2000000", x_api_key=company)
    assert (refused.status, refused.headers["content-type"]) == (429, FORMATS[key].content_type)
    assert b"BudgetExceeded" in refused.body


def test_a_batch_stops_at_the_refusal_and_says_both(asgi, company):
    set_budget(asgi, company, tokenLimit=10)
    items = [{"holdId": "a", "tokens": 6}, {"holdId": "b", "tokens": 6}]
    refused = ask(asgi, company, "POST", "/api/ReserveAiChatTokens[]", items)
    meta = refused.json["responseStatus"]["meta"]
    assert (refused.status, meta["AutoBatchIndex"], meta["TokensHeld"]) == (429, "1", "6")
    assert refused.headers["x-autobatch-completed"] == "1"


def test_a_hold_says_what_a_next_one_can_get(asgi, company):
    set_budget(asgi, company, tokenLimit=100, windowDays=2)
    held = reserve(asgi, company, 30)
    assert held.headers["ratelimit-policy"] == '"budget";q=100;w=172800;kvot-unit="tokens"'
    assert held.headers["ratelimit"] == '"budget";r=70'
    settled = ask(asgi, company, "POST", f"{HOLDS}/h/settle", {"tokensUsed": 120})
    assert settled.headers["ratelimit"] == '"budget";r=0'


def test_64_clients_get_what_fits_and_not_a_token_more(tmp_path):
    """A budget that fits one try in a hundred, over the whole kernel and the engine that runs in earnest."""
    company, store = str(uuid4()), SqliteStore.open(tmp_path / "kvot.db", Rules())
    ledger = Ledger(store, lambda: NOW_MS)
    services = Services(ledger, store, b"pepper", lambda: uuid4().hex, ProviderKeys(store, Sealer(bytes(32))))
    asgi = Asgi(App(services, TableAuthenticator(), Health(ledger)))
    set_budget(asgi, company, tokenLimit=16 * 7 + 6)
    statuses = asgi.send_many(64, 25, "POST", f"{HOLDS}?Tokens=7", [(b"x-api-key", company.encode())])
    assert (statuses.count(200), statuses.count(429)) == (16, 64 * 25 - 16)
    report = ask(asgi, company, "GET", "/assistant/ai-chat/usage/report")
    assert report.json["tokensHeld"] == 16 * 7
    asgi.run(store.close())
    asgi.close()
