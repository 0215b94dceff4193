"""Holds over HTTP at their edges: what each fault is called, in every format that requests and replies have."""

import json
from urllib.parse import quote

import pytest

from tests.http.conftest import NOW_MS

HOLDS = "/assistant/ai-chat/holds"


def xml(operation, members):
    return f"<{operation}>{''.join(f'<{name}>{value}</{name}>' for name, value in members.items())}</{operation}>"


BODIES = {
    "json": lambda operation, members: json.dumps(members),
    "jsv": lambda operation, members: "{" + ",".join(f"{name}:{value}" for name, value in members.items()) + "}",
    "xml": xml,
    "csv": lambda operation, members: ",".join(members) + "\r\n" + ",".join(map(str, members.values())) + "\r\n",
}
TYPES = {"json": "application/json", "jsv": "text/jsv", "xml": "application/xml", "csv": "text/csv"}
CODES = {"json": '"errorCode":"%s"', "jsv": "ErrorCode:%s", "xml": "ErrorCode>%s<", "csv": "%s"}

RESERVE, SETTLE, RENEW = "ReserveAiChatTokens", "SettleAiChatHold", "RenewAiChatHold"
ROUTES = {RESERVE: ("POST", HOLDS), SETTLE: ("POST", f"{HOLDS}/%s/settle"), RENEW: ("PUT", f"{HOLDS}/%s")}

TABLE = [
    # operation, hold, members, status, code, field; the hold `open` is open, `settled` was settled with 3 of its 5
    (RESERVE, "", {"HoldId": "x"}, 400, "GreaterThan", "Tokens"),
    (RESERVE, "", {"Tokens": 0}, 400, "GreaterThan", "Tokens"),
    (RESERVE, "", {"Tokens": -1}, 400, "GreaterThan", "Tokens"),
    (RESERVE, "", {"Tokens": "many"}, 400, "SerializationException", "Tokens"),
    (RESERVE, "", {"Tokens": "5x"}, 400, "SerializationException", "Tokens"),
    (RESERVE, "", {"Tokens": 1.5}, 400, "SerializationException", "Tokens"),
    (RESERVE, "", {"Tokens": 10**20}, 400, "SerializationException", "Tokens"),
    (RESERVE, "", {"Tokens": 10**12 + 1}, 400, "InclusiveBetween", "Tokens"),
    (RESERVE, "", {"Tokens": 5, "HoldId": "a b"}, 400, "RegularExpression", "HoldId"),
    (RESERVE, "", {"Tokens": 5, "HoldId": "ö"}, 400, "RegularExpression", "HoldId"),
    (RESERVE, "", {"Tokens": 5, "HoldId": "."}, 400, "RegularExpression", "HoldId"),
    (RESERVE, "", {"Tokens": 5, "HoldId": ".."}, 400, "RegularExpression", "HoldId"),
    (RESERVE, "", {"Tokens": 5, "HoldId": "h" * 10_240}, 400, "Length", "HoldId"),
    (RESERVE, "", {"Tokens": 5, "TtlSeconds": 0}, 400, "InclusiveBetween", "TtlSeconds"),
    (RESERVE, "", {"Tokens": 5, "TtlSeconds": 3_601}, 400, "InclusiveBetween", "TtlSeconds"),
    (RESERVE, "", {"Tokens": 5, "TtlSeconds": "soon"}, 400, "SerializationException", "TtlSeconds"),
    (RESERVE, "", {"Tokens": 6, "HoldId": "open"}, 409, "Conflict", ""),
    (RESERVE, "", {"Tokens": 5, "HoldId": "settled"}, 409, "HoldClosed", ""),
    (RESERVE, "", {"Tokens": 10**9}, 429, "BudgetExceeded", ""),
    (SETTLE, "open", {"Source": "reported"}, 400, "GreaterThan", "TokensUsed"),
    (SETTLE, "open", {"TokensUsed": 0}, 400, "GreaterThan", "TokensUsed"),
    (SETTLE, "open", {"TokensUsed": "all"}, 400, "SerializationException", "TokensUsed"),
    (SETTLE, "open", {"TokensUsed": 3, "Source": "rumour"}, 400, "Enum", "Source"),
    (SETTLE, "open", {"TokensUsed": 3, "InputTokens": -1}, 400, "InclusiveBetween", "InputTokens"),
    (SETTLE, "nosuch", {"TokensUsed": 3}, 404, "NotFound", ""),
    (SETTLE, "settled", {"TokensUsed": 4}, 409, "Conflict", ""),
    (RENEW, "open", {"TtlSeconds": 0}, 400, "InclusiveBetween", "TtlSeconds"),
    (RENEW, "open", {"TtlSeconds": 3_601}, 400, "InclusiveBetween", "TtlSeconds"),
    (RENEW, "nosuch", {"TtlSeconds": 60}, 404, "NotFound", ""),
    (RENEW, "settled", {"TtlSeconds": 60}, 409, "HoldClosed", ""),
]


def call(asgi, company, key, operation, hold, members):
    verb, path = ROUTES[operation]
    body = BODIES[key](operation, members).encode()
    headers = [
        (b"x-api-key", company.encode()),
        (b"content-type", TYPES[key].encode()),
        (b"accept", TYPES[key].encode()),
    ]
    return asgi.send_raw(verb, path % hold if hold else path, body, headers)


@pytest.fixture
def holds(asgi, company):
    for hold in ("open", "settled"):
        assert call(asgi, company, "json", RESERVE, "", {"Tokens": 5, "HoldId": hold}).status == 200
    assert call(asgi, company, "json", SETTLE, "settled", {"TokensUsed": 3}).status == 200
    return asgi


@pytest.mark.parametrize("key", BODIES)
@pytest.mark.parametrize(("operation", "hold", "members", "status", "code", "field"), TABLE)
def test_a_fault_is_called_the_same_in_every_format(holds, company, key, operation, hold, members, status, code, field):
    reply = call(holds, company, key, operation, hold, members)
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (status, TYPES[key])
    text = reply.body.decode()
    assert CODES[key] % code in text
    assert field in text
    after = holds.send("GET", "/assistant/ai-chat/usage/report", x_api_key=company)
    assert (after.json["tokensUsed"], after.json["tokensHeld"]) == (3, 5)


@pytest.mark.parametrize("key", BODIES)
@pytest.mark.parametrize(
    ("operation", "hold", "members"),
    [
        (RESERVE, "", {"Tokens": "5", "HoldId": "open", "TtlSeconds": 120}),
        (SETTLE, "settled", {"TokensUsed": 3}),
        (RENEW, "open", {"TtlSeconds": 3_600}),
        (RENEW, "open", {"TtlSeconds": 1}),
    ],
)
def test_what_is_right_is_so_in_every_format(holds, company, key, operation, hold, members):
    assert call(holds, company, key, operation, hold, members).status == 200


@pytest.mark.parametrize("members", [{"tokens": True}, {"tokens": {}}, {"tokens": []}])
def test_json_has_more_ways_to_be_of_the_wrong_type(asgi, company, members):
    reply = asgi.send("POST", HOLDS, json.dumps(members), x_api_key=company, content_type="application/json")
    assert (reply.status, reply.fields) == (400, [("Tokens", "SerializationException")])


@pytest.mark.parametrize(("written", "status"), [("0.12345678901234567891", 400), ("12345678901234567891", 200)])
def test_no_two_numbers_are_the_id_of_one_hold(asgi, company, written, status):
    body = f'{{"tokens":5,"holdId":{written}}}'
    reply = asgi.send("POST", HOLDS, body, x_api_key=company, content_type="application/json")
    assert (reply.status, reply.json.get("holdId", written)) == (status, written)


def test_settling_nothing_says_what_to_do_instead(holds, company):
    reply = call(holds, company, "json", SETTLE, "open", {"TokensUsed": 0})
    assert (
        reply.error[1]
        == "'Tokens Used' must be greater than '0'. A call that used nothing is released: DELETE its hold."
    )


IDS = ["a/b", "a%2Fb", "a?b", "a#b", "a+b&c=d", "x.json", "...", "a/../b", "~", "h" * 255, '"<&>\\', "settle"]


@pytest.mark.parametrize("hold", IDS)
def test_every_id_that_is_taken_can_be_reached_by_its_path(asgi, company, hold):
    """Percent-encoded; an id that ends as a format does has one more such ending where nothing follows it."""
    assert call(asgi, company, "json", RESERVE, "", {"Tokens": 5, "HoldId": hold}).status == 200
    path = quote(hold, safe="")
    ending = ".json" if hold.endswith(".json") else ""
    found = asgi.send("GET", f"{HOLDS}/{path}{ending}", x_api_key=company)
    assert (found.status, found.json["holdId"], found.json["holdCreatedAt"]) == (200, hold, f"/Date({NOW_MS})/")
    assert call(asgi, company, "json", RENEW, path + ending, {"TtlSeconds": 60}).status == 200
    assert call(asgi, company, "json", SETTLE, path, {"TokensUsed": 1}).status == 200


@pytest.mark.parametrize("segment", ["%00", "a%20b", "%C3%B6", "h" * 256, "a%0Ab"])
def test_a_path_with_what_is_no_id_is_a_bad_request(asgi, company, segment):
    reply = asgi.send("GET", f"{HOLDS}/{segment}", x_api_key=company)
    assert (reply.status, [field for field, _ in reply.fields]) == (400, ["HoldId"])


def test_an_idempotency_key_that_no_address_could_name_makes_no_hold(asgi, company):
    reply = asgi.send("POST", f"{HOLDS}?Tokens=5", x_api_key=company, idempotency_key="..")
    assert (reply.status, reply.fields) == (400, [("HoldId", "RegularExpression")])
