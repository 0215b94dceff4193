import json

import pytest

from kvot.client.replies import from_http
from kvot.contract import OPERATIONS
from kvot.contract.budget import AiChatBudgetResponse
from kvot.contract.describe import Instant
from kvot.contract.holds import GetAiChatHold
from kvot.contract.usage import AiChatUsageResponse
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
NOW_MS = 1_800_000_000_000


def read(status, headers, body, *, of="getaichatusage", **more):
    return from_http(OPERATIONS[of], status, headers, body, now_ms=NOW_MS, **more)


@pytest.mark.parametrize("case", [str.lower, lambda name: name], ids=["camel", "pascal"])
def test_a_reply_is_read_in_any_case_of_names(case):
    names = ("CompanyId", "TokensUsed", "TokenLimit", "TokensRemaining", "IsWithinBudget", "WindowDays")
    document = dict(zip(map(case, names), (ACME, 5, 9, 4, True, 30), strict=True))
    reply = read(200, {}, json.dumps(document).encode())
    assert reply == AiChatUsageResponse(
        company_id=ACME, tokens_used=5, token_limit=9, tokens_remaining=4, is_within_budget=True, window_days=30
    )


def test_nested_values_and_dates_are_read():
    change = {"effectiveAt": "\\/Date(5)\\/", "tokenLimit": 1, "windowDays": 2, "actor": "cli"}
    body = {"companyId": ACME, "tokenLimit": 1, "windowDays": 2, "isDefault": False, "history": [change]}
    reply = read(200, {}, json.dumps(body).replace("\\\\/", "\\/").encode(), of="getaichatbudget")
    assert isinstance(reply, AiChatBudgetResponse)
    assert reply.history[0].effective_at == Instant(5)


ERRORS = [
    (400, InvalidRequest),
    (401, NotAuthenticated),
    (403, Forbidden),
    (404, NotFound),
    (409, Conflict),
    (429, TooManyRequests),
    (422, KvotError),
    (307, StoreUnavailable),
    (408, StoreUnavailable),
    (500, StoreUnavailable),
    (502, StoreUnavailable),
    (503, StoreUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_an_error_keeps_its_kind_its_words_and_its_wait(status, kind):
    told = {"errorCode": "Code", "message": "Words.", "errors": [{"fieldName": "A", "errorCode": "B", "message": "C"}]}
    with pytest.raises(KvotError) as caught:
        read(status, {"retry-after": "7"}, json.dumps({"responseStatus": told}).encode())
    error = caught.value
    assert type(error) is kind
    assert error.message == "Words."
    assert str(error) == ("Words: C" if kind is InvalidRequest else "Words.")
    if isinstance(error, InvalidRequest):
        assert [(each.field, each.code, each.message) for each in error.fields] == [("A", "B", "C")]
    if isinstance(error, StoreUnavailable | TooManyRequests):
        assert error.retry_after_ms == 7_000


@pytest.mark.parametrize("meta", [None, {}, [], {"Reason": "OverLimit"}, {"Reason": 5}])
def test_a_refusal_that_lacks_what_ours_say_is_too_many_requests(meta):
    told = {"errorCode": "BudgetExceeded", "message": "Words.", "meta": meta}
    with pytest.raises(TooManyRequests, match="Words") as caught:
        read(429, {"retry-after": "7"}, json.dumps({"responseStatus": told}).encode())
    assert caught.value.retry_after_ms == 7_000


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("7", 7_000),
        ("Fri, 15 Jan 2027 08:00:05 GMT", 5_000),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        *((text, 1_000) for text in ("", "soon", "-1", "²", "9" * 5_000, "Fri, 99 Jan 2027 08:00:00 GMT", "1.5")),
    ],
)
def test_when_to_ask_again_is_said_in_seconds_or_as_a_date(text, wait_ms):
    for status in (429, 503):
        with pytest.raises(KvotError) as caught:
            read(status, {"retry-after": text}, b"")
        assert caught.value.retry_after_ms == wait_ms


HOLD: dict[str, object] = {"companyId": ACME, "holdId": "mine", "holdState": "open", "holdTokens": 5}
WRONG: list[dict[str, object]] = [{}, {"companyId": [1]}, {"holdTokens": "x"}, {"holdTokens": {}}]
STRANGE = [
    *(b"", b"<html>", b"[]", b"\xff", b"null", b"{}", b"[" * 100_000, b'{"a":' * 100_000, b'"{"', b"9" * 5_000),
    *(json.dumps(HOLD | wrong).encode() for wrong in WRONG),
    *(b'{"responseStatus":' + told + b"}" for told in (b'"bad gateway"', b"5", b"[1]", b'{"errors":"x","message":{}}')),
    *(b'{"responseStatus":{"errors":[%s]}}' % each for each in (b"5", b"null", b'"x"', b'{"fieldName":5}')),
    *(
        b'{"responseStatus":{"errorCode":"BudgetExceeded","meta":%s}}' % meta
        for meta in (b"5", b'{"Reason":"InDoubt"}')
    ),
]


@pytest.mark.parametrize("body", STRANGE, ids=lambda body: repr(body[:40]))
@pytest.mark.parametrize("of", ["getaichatusage", "getaichathold", "importaichatusage"])
def test_a_stranger_s_reply_is_an_error_that_says_so(of, body):
    with pytest.raises(StoreUnavailable, match=r"is the address"):
        read(200, {}, body, of=of)
    for status in (302, 400, 404, 429, 502):
        with pytest.raises(KvotError) as caught:
            read(status, {}, body, of=of)
        assert str(caught.value) == f"The server answered with status {status}."


def test_the_reply_to_another_s_request_is_none():
    usage = {"tokensUsed": 1, "tokensHeld": 5, "tokenLimit": 9, "tokensRemaining": 3, "isWithinBudget": True}
    times = {"holdCreatedAt": "2027-01-01", "holdExpiresAt": "2027-01-01", "windowDays": 1}
    body = json.dumps(HOLD | usage | times).encode()
    assert read(200, {}, body, of="getaichathold", asked=GetAiChatHold(hold_id="mine")).hold_id == "mine"
    with pytest.raises(StoreUnavailable, match="that of the hold mine"):
        read(200, {}, body, of="getaichathold", asked=GetAiChatHold(hold_id="other"))
