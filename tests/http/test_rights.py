"""Who may do what: every operation by every kind of caller, and a foreign company in every one that takes a company.

An operation that is not in the table fails the test, so that nobody adds one without saying who may call it.
"""

import json
from uuid import uuid4

import pytest

from kvot.contract import ROUTES
from kvot.contract.describe import members_of

ANYONE, WRITER, OPERATOR = ("company", "writer", "super"), ("writer", "super"), ("super",)
CALLERS = ("nobody", *ANYONE)

HOLD: dict[str, object] = {"holdId": "none"}
CHANGE: dict[str, object] = {"eventId": "none", "tokens": -1, "reason": "r"}
PROVIDER: dict[str, object] = {"provider": "none"}
RIGHTS: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {
    # Operation: who may call it, and what has to be said beside the company.
    "GetAiChatUsage": (ANYONE, {}),
    "RecordAiChatUsage": (ANYONE, {"tokensUsed": 1}),
    "GetAiChatUsageReport": (ANYONE, {}),
    "GetAiChatUsageBreakdown": (ANYONE, {"by": "model"}),
    "CorrectAiChatUsage": (OPERATOR, CHANGE),
    "GetAiChatBudget": (ANYONE, {}),
    "UpdateAiChatBudget": (OPERATOR, {"tokenLimit": 9}),
    "ReserveAiChatTokens": (ANYONE, {"tokens": 1}),
    "GetAiChatHold": (ANYONE, HOLD),
    "RenewAiChatHold": (ANYONE, HOLD),
    "SettleAiChatHold": (ANYONE, HOLD | {"tokensUsed": 1}),
    "ReleaseAiChatHold": (ANYONE, HOLD),
    "AiChatHoldQuery": (OPERATOR, {}),
    "ImportAiChatUsage": (WRITER, {"events": [{"tokens": 1, "at": "2026-01-01"}]}),
    "VerifyAiChatLedger": (ANYONE, {}),
    "PruneAiChatLedger": (OPERATOR, {"before": "2020-01-01"}),
    "CreateApiKey": (OPERATOR, {}),
    "ApiKeyQuery": (OPERATOR, {}),
    "RevokeApiKey": (OPERATOR, {"id": "none"}),
    "UpdateAiChatProviderKey": (OPERATOR, PROVIDER | {"apiKey": "12345678"}),
    "RemoveAiChatProviderKey": (OPERATOR, PROVIDER),
    "AiChatProviderKeyQuery": (OPERATOR, {}),
}
OF_COMPANIES = [o.name for o in ROUTES if any(m.name == "company_id" for m in members_of(o.request))]


def perform(asgi, name, caller, own, named):
    headers = {"nobody": {}, "company": {"x_api_key": own}, "writer": {"x_api_key": f"writer {own}"}}
    body = json.dumps(RIGHTS[name][1] | ({"companyId": named} if name in OF_COMPANIES else {}))
    who = headers.get(caller, {"x_api_key": "super"})
    return asgi.send("POST", f"/api/{name}", body, content_type="application/json", **who)


@pytest.mark.parametrize("name", [operation.name for operation in ROUTES])
def test_an_operation_is_for_those_who_may_call_it_and_for_nobody_else(asgi, company, name):
    statuses = {caller: perform(asgi, name, caller, company, company).status for caller in CALLERS}
    assert statuses.pop("nobody") == 401
    assert {caller for caller, status in statuses.items() if status not in (401, 403)} == set(RIGHTS[name][0])


@pytest.mark.parametrize("caller", ["company", "writer"])
@pytest.mark.parametrize("name", OF_COMPANIES)
def test_a_foreign_company_is_for_a_superadmin_alone(asgi, company, name, caller):
    other = str(uuid4())
    reply = perform(asgi, name, caller, company, other)
    assert (reply.status, other.encode() in reply.body) == (403, False)
    assert perform(asgi, name, "super", company, other).status != 403
