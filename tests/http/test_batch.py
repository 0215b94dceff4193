"""Many requests of one operation in one body."""

import msgspec
import pytest

from tests.http.conftest import FailingStore

RECORD = "/api/RecordAiChatUsage[]"
USAGE = "/api/GetAiChatUsage"


def tokens(asgi, company):
    return asgi.send("GET", USAGE, x_api_key=company).json["tokensUsed"]


@pytest.mark.parametrize("target", [RECORD, "/api/RecordAiChatUsage%5B%5D", "/json/reply/recordaichatusage[]"])
def test_each_item_is_carried_out_in_order(asgi, company, target):
    reply = asgi.send("POST", target, '[{"tokensUsed":1},{"tokensUsed":2}]', x_api_key=company)
    assert [each["tokensUsed"] for each in reply.json] == [1, 3]
    assert (reply.status, reply.headers["x-autobatch-completed"]) == (200, "2")


@pytest.mark.parametrize(("body", "completed"), [("{TokensUsed:1},{TokensUsed:2}", "2"), ("{TokensUsed:1}", "1")])
def test_the_brackets_of_a_batch_in_jsv_are_optional(asgi, company, body, completed):
    reply = asgi.send("POST", "/jsv/reply/RecordAiChatUsage[]", body, x_api_key=company)
    assert (reply.status, reply.headers["x-autobatch-completed"]) == (200, completed)


@pytest.mark.parametrize("body", [None, "[]", ""])
def test_no_items_are_no_replies(asgi, company, body):
    reply = asgi.send("POST", RECORD, body, x_api_key=company)
    assert (reply.status, reply.body, reply.headers["x-autobatch-completed"]) == (200, b"[]", "0")


@pytest.mark.parametrize(
    ("items", "index", "code"),
    [
        ('[{"tokensUsed":0},{"tokensUsed":2}]', "0", "GreaterThan"),
        ('[{"tokensUsed":5},{"tokensUsed":-1},{"tokensUsed":2}]', "1", "GreaterThan"),
        ('[{"tokensUsed":5},{"tokensUsed":1,"companyId":"zzz"}]', "1", "SerializationException"),
        ('[{"tokensUsed":5},7]', "1", "SerializationException"),
        ('[{"tokensUsed":5},{"tokensUsed":1,"companyId":"00000000-0000-0000-0000-000000000001"}]', "1", "Forbidden"),
    ],
)
def test_the_first_failure_stops_it_and_says_where(asgi, company, items, index, code):
    reply = asgi.send("POST", RECORD, items, x_api_key=company)
    status = reply.json["responseStatus"]
    assert (status["errorCode"], status["meta"]) == (code, {"AutoBatchIndex": index})
    assert reply.headers["x-autobatch-completed"] == index
    assert reply.status == (403 if code == "Forbidden" else 400)
    assert tokens(asgi, company) == 5 * int(index)


def test_nobody_anonymous_gets_past_the_door(asgi):
    reply = asgi.send("POST", RECORD, "[{}]")
    assert (reply.status, reply.error[1]) == (401, "Not Authenticated")
    assert reply.json["responseStatus"]["meta"] == {"AutoBatchIndex": "0"}
    assert reply.headers["x-autobatch-completed"] == "0"


@pytest.mark.parametrize(
    ("key", "headers", "status"),
    [
        ("often", {}, 429),
        ("company", {}, 403),
        ("super", {"idempotency_key": "a b"}, 400),
        ("super", {"content_encoding": "gzip"}, 400),
    ],
)
def test_what_fails_before_the_first_item_says_that_none_was_completed(asgi, key, headers, status):
    reply = asgi.send("POST", "/api/CorrectAiChatUsage[]", "[{}]", x_api_key=key, **headers)
    assert (reply.status, reply.headers["x-autobatch-completed"]) == (status, "0")
    assert reply.json["responseStatus"]["meta"] == {"AutoBatchIndex": "0"}


@pytest.mark.parametrize("body", ["{}", "7", "[", "[" * 100_000])
def test_what_is_no_list_is_refused(asgi, company, body):
    reply = asgi.send("POST", RECORD, body, x_api_key=company)
    assert (reply.status, reply.error[0]) == (400, "SerializationException")
    assert "Could not deserialize 'application/json' request using RecordAiChatUsage" in reply.error[1]


def test_a_batch_is_bounded(asgi, company):
    reply = asgi.send("POST", RECORD, '[{"tokensUsed":1}' + ',{"tokensUsed":1}' * 1_000 + "]", x_api_key=company)
    assert (reply.status, "at most 1000 items" in reply.error[1]) == (400, True)
    assert tokens(asgi, company) == 0


def test_one_key_makes_every_item_safe_to_repeat(asgi, company):
    items = '[{"tokensUsed":1},{"tokensUsed":1}]'
    for _ in range(2):
        assert asgi.send("POST", RECORD, items, x_api_key=company, idempotency_key="k").status == 200
    assert tokens(asgi, company) == 2
    assert asgi.send("POST", RECORD, items, x_api_key=company, idempotency_key="k" * 255).status == 400


def test_the_query_fills_what_items_leave_out(asgi, company):
    reply = asgi.send("POST", f"{RECORD}?tokensUsed=4", '[{},{"tokensUsed":1}]', x_api_key=company)
    assert [each["tokensUsed"] for each in reply.json] == [4, 5]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("jsv", "[{TokensUsed:1},{TokensUsed:2}]"),
        ("xml", "<A><R><TokensUsed>1</TokensUsed></R><R><TokensUsed>2</TokensUsed></R></A>"),
        ("csv", "TokensUsed\r\n1\r\n2\r\n"),
        ("jsonl", '{"tokensUsed":1}\n{"tokensUsed":2}\n'),
        ("msgpack", msgspec.msgpack.encode([{"tokensUsed": 1}, {"tokensUsed": 2}])),
    ],
)
def test_a_batch_comes_and_goes_in_every_format(asgi, company, key, body):
    reply = asgi.send("POST", f"/{key}/reply/RecordAiChatUsage[]", body, x_api_key=company)
    assert (reply.status, reply.headers["x-autobatch-completed"]) == (200, "2")
    assert reply.body.count(company.encode()) == 2
    assert tokens(asgi, company) == 3


def test_one_way_says_nothing_but_how_many(asgi, company):
    reply = asgi.send("POST", "/json/oneway/RecordAiChatUsage[]", '[{"tokensUsed":1}]', x_api_key=company)
    assert (reply.status, reply.body, reply.headers["x-autobatch-completed"]) == (204, b"", "1")
    assert tokens(asgi, company) == 1


def test_a_fault_of_ours_in_an_item_is_ours_and_says_where(asgi, company):
    items = f'[{{"companyId":"{company}"}},{{"companyId":"{FailingStore.broken_company}"}}]'
    reply = asgi.send("POST", "/api/GetAiChatUsage[]", items, x_api_key="super")
    assert (reply.status, reply.error[0]) == (500, "InternalServerError")
    meta = reply.json["responseStatus"]["meta"]
    assert meta.keys() == {"AutoBatchIndex", "RequestId"}
    assert (meta["AutoBatchIndex"], reply.headers["x-autobatch-completed"]) == ("1", "1")


def test_a_verb_that_has_no_body_elsewhere_still_reads_its_batch(asgi, company):
    body = '[{},{"companyId":"00000000-0000-0000-0000-000000000001"}]'
    reply = asgi.send("POST", f"{USAGE}[]", body, x_api_key=company, x_http_method_override="GET")
    assert (reply.status, reply.json["responseStatus"]["meta"]) == (403, {"AutoBatchIndex": "1"})


@pytest.mark.parametrize(
    ("target", "body", "why"),
    [
        (RECORD, "tokensUsed=1", "A form cannot hold a batch: send a list as application/json."),
        ("/jsonl/reply/RecordAiChatUsage[]", '{"tokensUsed":1}\n{"tokensUsed":1', "A '}' is missing at the end."),
        ("/csv/reply/RecordAiChatUsage[]", "TokensUsed\r\n1,2", "The row has 2 cells, and the header 1."),
    ],
)
def test_what_is_no_batch_is_told_what_it_lacks(asgi, company, target, body, why):
    reply = asgi.send(
        "POST", f"{target}?format=json", body, x_api_key=company, content_type="application/x-www-form-urlencoded"
    )
    assert (reply.status, why in reply.body.decode()) == (400, True)


UNTOLD = [("/api/ReserveAiChatTokens[]", '[{"tokens":5}]'), ("/json/oneway/ReserveAiChatTokens", '{"tokens":5}')]


@pytest.mark.parametrize(("target", "body"), UNTOLD)
def test_no_hold_is_made_under_an_id_that_nobody_may_learn(asgi, company, target, body):
    reply = asgi.send("POST", target, body, x_api_key=company)
    assert (reply.status, reply.json["responseStatus"]["errors"][0]["fieldName"]) == (400, "HoldId")
    assert asgi.send("POST", target, body, x_api_key=company, idempotency_key="k").status in (200, 204)
    named = body.replace("{", '{"holdId":"own",')
    assert asgi.send("POST", target, named, x_api_key=company).status in (200, 204)
