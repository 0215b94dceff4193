import json

import pytest

from kvot.client.requests import from_http, lines_to_http, to_http
from kvot.contract import OPERATIONS
from kvot.contract.budget import AiChatBudgetResponse, UpdateAiChatBudget
from kvot.contract.describe import Instant, Operation, Request
from kvot.contract.holds import GetAiChatHold, SettleAiChatHold
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage
from kvot.contract.keys import RevokeApiKey
from kvot.contract.usage import AiChatUsageResponse, GetAiChatUsage, GetAiChatUsageReport, RecordAiChatUsage
from kvot.core.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    KvotError,
    NotAuthenticated,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
)

ACME = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
USAGE = OPERATIONS["getaichatusage"]


def operation_of(request: Request) -> Operation:
    return OPERATIONS[type(request).__name__.lower()]


# A request, and the verb, target and JSON body that it becomes.
REQUESTS = [
    (GetAiChatUsage(), "GET", "/assistant/ai-chat/usage", None),
    (GetAiChatUsage(company_id=ACME), "GET", f"/assistant/ai-chat/usage?CompanyId={ACME}", None),
    (
        GetAiChatUsageReport(at=Instant(1_000), window_days=7),
        "GET",
        "/assistant/ai-chat/usage/report?At=1970-01-01T00%3A00%3A01Z&WindowDays=7",
        None,
    ),
    (RecordAiChatUsage(tokens_used=5), "POST", "/assistant/ai-chat/usage", {"TokensUsed": 5}),
    (UpdateAiChatBudget(token_limit=0), "PUT", "/assistant/ai-chat/budget", {"TokenLimit": 0}),
    (RevokeApiKey(id="a/b"), "DELETE", "/apikeys/a%2Fb", None),
    (GetAiChatHold(hold_id="a.b"), "GET", "/assistant/ai-chat/holds/a.b", None),
    (GetAiChatHold(hold_id="a.Xml"), "GET", "/assistant/ai-chat/holds/a.Xml.json", None),
    (
        SettleAiChatHold(company_id=ACME, hold_id="a.xml", tokens_used=7),
        "POST",
        "/assistant/ai-chat/holds/a.xml/settle",
        {"CompanyId": ACME, "TokensUsed": 7},
    ),
    (
        ImportAiChatUsage(events=[AiChatUsageEvent(id="e", at=Instant(0), tokens=1)]),
        "POST",
        "/assistant/ai-chat/usage/import",
        {"Events": [{"Id": "e", "At": "1970-01-01", "Tokens": 1}]},
    ),
]


@pytest.mark.parametrize(("request_", "verb", "target", "body"), REQUESTS)
def test_a_request_takes_the_operation_s_own_route(request_, verb, target, body):
    sent = to_http(operation_of(request_), request_)
    assert (sent.verb, sent.target) == (verb, target)
    assert (None if sent.body is None else json.loads(sent.body)) == body


def test_an_idempotency_key_is_a_header():
    request = RecordAiChatUsage(tokens_used=5)
    assert to_http(operation_of(request), request, idempotency_key="k").headers["idempotency-key"] == "k"


def test_lines_are_sent_as_json_lines_for_a_company():
    sent = lines_to_http(OPERATIONS["importaichatusage"], [b"{}", b"{}"], company_id=ACME)
    assert sent.target == f"/assistant/ai-chat/usage/import?CompanyId={ACME}"
    assert (sent.body, sent.headers["content-type"]) == (b"{}\n{}", "application/jsonl")


@pytest.mark.parametrize("case", [str.lower, lambda name: name], ids=["camel", "pascal"])
def test_a_reply_is_read_in_any_case_of_names(case):
    names = ("CompanyId", "TokensUsed", "TokenLimit", "TokensRemaining", "IsWithinBudget", "WindowDays")
    document = dict(zip(map(case, names), (ACME, 5, 9, 4, True, 30), strict=True))
    reply = from_http(USAGE, 200, {}, json.dumps(document).encode())
    assert reply == AiChatUsageResponse(
        company_id=ACME, tokens_used=5, token_limit=9, tokens_remaining=4, is_within_budget=True, window_days=30
    )


def test_nested_values_and_dates_are_read():
    change = {"effectiveAt": "\\/Date(5)\\/", "tokenLimit": 1, "windowDays": 2, "actor": "cli"}
    body = {"companyId": ACME, "tokenLimit": 1, "windowDays": 2, "isDefault": False, "history": [change]}
    reply = from_http(OPERATIONS["getaichatbudget"], 200, {}, json.dumps(body).replace("\\\\/", "\\/").encode())
    assert isinstance(reply, AiChatBudgetResponse)
    assert reply.history[0].effective_at == Instant(5)


ERRORS = [
    (400, InvalidRequest),
    (401, NotAuthenticated),
    (403, Forbidden),
    (404, NotFound),
    (409, Conflict),
    (429, TooManyRequests),
    (500, KvotError),
    (503, StoreUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_an_error_keeps_its_kind_its_words_and_its_wait(status, kind):
    told = {"errorCode": "Code", "message": "Words.", "errors": [{"fieldName": "A", "errorCode": "B", "message": "C"}]}
    with pytest.raises(KvotError) as caught:
        from_http(USAGE, status, {"retry-after": "7"}, json.dumps({"responseStatus": told}).encode())
    error = caught.value
    assert type(error) is kind
    assert error.message == "Words."
    if isinstance(error, InvalidRequest):
        assert [(each.field, each.code, each.message) for each in error.fields] == [("A", "B", "C")]
    if isinstance(error, StoreUnavailable | TooManyRequests):
        assert error.retry_after_ms == 7_000


@pytest.mark.parametrize("meta", [None, {}, [], {"Reason": "OverLimit"}, {"Reason": 5}])
def test_a_refusal_that_lacks_what_ours_say_is_too_many_requests(meta):
    told = {"errorCode": "BudgetExceeded", "message": "Words.", "meta": meta}
    with pytest.raises(TooManyRequests, match="Words") as caught:
        from_http(USAGE, 429, {"retry-after": "7"}, json.dumps({"responseStatus": told}).encode())
    assert caught.value.retry_after_ms == 7_000


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"null"])
def test_a_stranger_s_reply_is_an_error_that_says_so(body):
    with pytest.raises(KvotError):
        from_http(USAGE, 200, {}, body)
    with pytest.raises(KvotError, match="502"):
        from_http(USAGE, 502, {}, body)
