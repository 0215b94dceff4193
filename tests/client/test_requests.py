import json

import pytest

from kvot.client.requests import lines_to_http, to_http
from kvot.contract import OPERATIONS
from kvot.contract.budget import UpdateAiChatBudget
from kvot.contract.describe import Instant, Operation, Request
from kvot.contract.holds import GetAiChatHold, SettleAiChatHold
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage
from kvot.contract.keys import RevokeApiKey
from kvot.contract.usage import GetAiChatUsage, GetAiChatUsageReport, RecordAiChatUsage
from kvot.core.errors import InvalidRequest

ACME = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


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


UNWRITABLE = [
    GetAiChatHold(hold_id="\ud800"),
    GetAiChatUsage(company_id="\ud800"),
    RecordAiChatUsage(tokens_used=object()),  # type: ignore[arg-type]
    SettleAiChatHold(hold_id="a", tokens_used=5, source="\ud800"),
]


@pytest.mark.parametrize("request_", UNWRITABLE)
def test_what_cannot_be_written_is_an_error_of_ours(request_):
    with pytest.raises(InvalidRequest, match="cannot be written"):
        to_http(operation_of(request_), request_)
