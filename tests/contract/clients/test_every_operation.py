"""Every operation of the product, called by both clients with the classes that the server generated, by a superadmin.

Dates are what clients differ in: PyPI's writes them in three ways, npm's hands on what it is given.
"""

from functools import partial

import pytest

INSTANT = "datetime.datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=datetime.timezone.utc)"
INSTANT_READ = "2026-03-04T05:06:07.890000+00:00"
INSTANT_JSON = "/Date(1772600767890)/"
DATE = "new Date(Date.UTC(2026, 2, 4, 5, 6, 7, 890))"


@pytest.fixture
def python(python_process, host, company):
    """Calls of PyPI's client; `$` is the company."""
    process = partial(python_process, url=host.url, bearer=host.operator)
    return lambda call: process(call.replace("$", f"company_id='{company}'"))["returned"]


@pytest.fixture
def npm_client(npm_process, host, company):
    """Calls of npm's client by the verb that the classes name; `$` is the company."""
    process = partial(npm_process, url=host.url, bearer=host.operator)
    return lambda call: process(call.replace("$", f"companyId: '{company}'"))["returned"]


IMPORT = f"client.send(ImportAiChatUsage($, events=[AiChatUsageEvent(id='a', at={INSTANT}, tokens=5)]))"


def test_python_imports_corrects_and_verifies(python):
    two = "AiChatUsageEvent(id='a', tokens=5), AiChatUsageEvent(id='b')"
    told = python(f"client.send(ImportAiChatUsage($, events=[{two}]))")
    assert (told["accepted"], told["duplicate"], told["refused"]) == (1, 0, 1)
    (refusal,) = told["refusals"]
    assert (refusal["class"], refusal["position"], refusal["id"]) == ("AiChatUsageRefusal", 1, "b")
    corrected = python("client.send(CorrectAiChatUsage($, event_id='a', tokens=-2, reason='typing slip'))")
    assert (corrected["class"], corrected["tokens_used"]) == ("AiChatUsageResponse", 3)
    proved = python("client.get(VerifyAiChatLedger($))")
    assert (proved["events"], proved["tokens"], proved["differences"]) == (2, 3, [])
    assert python("client.send(PruneAiChatLedger($, before=datetime.datetime(2020, 1, 1)))")["events"] == 0


@pytest.mark.parametrize("verb", ["get", "send"])
def test_python_reads_a_report_of_an_instant_in_the_query_and_in_the_body(python, verb):
    python(IMPORT)
    report = python(f"client.{verb}(GetAiChatUsageReport($, at={INSTANT}, window_days=7))")
    assert (report["class"], report["at"]) == ("AiChatUsageReportResponse", INSTANT_READ)
    assert (report["tokens_used"], report["tokens_held"], report["window_days"]) == (5, 0, 7)


@pytest.mark.parametrize("verb", ["get", "send"])
def test_python_reads_whose_the_tokens_of_an_instant_are(python, verb):
    python(IMPORT.replace("tokens=5", "tokens=5, model='m'"))
    told = python(f"client.{verb}(GetAiChatUsageBreakdown($, by='model', at={INSTANT}))")
    (share,) = told["results"]
    assert (told["class"], told["by"], told["until"]) == (
        "AiChatUsageBreakdownResponse",
        "model",
        "2026-03-04T06:00:00+00:00",
    )
    assert (share["class"], share["label"], share["events"], share["tokens"]) == ("AiChatUsageShare", "m", 1, 5)


@pytest.mark.parametrize("verb", ["put", "patch", "send"])
def test_python_changes_and_reads_a_budget(python, verb):
    changed = python(f"client.{verb}(UpdateAiChatBudget($, token_limit=9, reason='trial'))")
    assert (changed["class"], changed["token_limit"], changed["is_default"]) == ("AiChatBudgetResponse", 9, False)
    (change,) = python("client.get(GetAiChatBudget($))")["history"]
    assert (change["class"], change["token_limit"], change["reason"]) == ("AiChatBudgetChange", 9, "trial")


def test_python_makes_lists_and_revokes_an_api_key(python):
    made = python(
        "client.send(CreateApiKey($, name='n', roles=['usage-writer'], networks=['10.0.0.0/8'],"
        " expires_at=datetime.datetime(2099, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)))"
    )
    assert (made["class"], made["result"]["class"]) == ("CreateApiKeyResponse", "ApiKeyInfo")
    assert (made["result"]["roles"], made["result"]["networks"]) == (["usage-writer"], ["10.0.0.0/8"])
    assert made["result"]["expires_at"] == "2099-01-02T03:04:05+00:00"
    assert python("client.get(ApiKeyQuery($))")["results"] == [made["result"]]
    key_id = made["result"]["id"]
    assert python(f"client.delete(RevokeApiKey(id='{key_id}'))")["id"] == key_id
    assert python("client.get(ApiKeyQuery($))")["results"][0]["revoked_at"]


def test_python_lists_open_holds(python):
    python("client.send(ReserveAiChatTokens($, hold_id='turn-7', tokens=40, model='m'))")
    listed = python("client.get(AiChatHoldQuery($, max_results=5))")
    (info,) = listed["results"]
    assert (listed["class"], info["class"], listed["has_more"]) == ("AiChatHoldQueryResponse", "AiChatHoldInfo", False)
    assert (info["id"], info["tokens"], info["state"], info["is_of_gateway"]) == ("turn-7", 40, "open", False)


def test_python_sets_lists_and_removes_a_companys_key_to_a_provider(python):
    kept = python("client.put(UpdateAiChatProviderKey($, provider='openai', api_key='sk-0123456789abcdef'))")["result"]
    assert (kept["class"], kept["has_key"], kept["last_characters"]) == ("AiChatProviderKeyInfo", True, "cdef")
    assert python("client.get(AiChatProviderKeyQuery($))")["results"] == [kept]
    removed = python("client.delete(RemoveAiChatProviderKey($, provider='openai'))")["result"]
    assert (removed["is_offered"], removed["has_key"]) == (True, False)


def test_npm_sets_lists_and_removes_a_companys_key_to_a_provider(npm_client):
    key = "provider: 'openai', apiKey: 'sk-0123456789abcdef'"
    kept = npm_client(f"client.send(new UpdateAiChatProviderKey({{ $, {key} }}))")["result"]
    assert (kept["hasKey"], kept["lastCharacters"]) == (True, "cdef")
    assert npm_client("client.send(new AiChatProviderKeyQuery({ $ }))")["results"] == [kept]
    assert not npm_client("client.send(new RemoveAiChatProviderKey({ $, provider: 'openai' }))")["result"]["hasKey"]


def test_npm_lists_open_holds(npm_client):
    npm_client("client.send(new ReserveAiChatTokens({ $, holdId: 'turn-7', tokens: 40, model: 'm' }))")
    (info,) = npm_client("client.get(new AiChatHoldQuery({ $, maxResults: 5 }))")["results"]
    assert (info["id"], info["tokens"], info["state"], info["isOfGateway"]) == ("turn-7", 40, "open", False)


def test_npm_imports_corrects_and_verifies(npm_client):
    two = "new AiChatUsageEvent({ id: 'a', tokens: 5 }), new AiChatUsageEvent({ id: 'b' })"
    told = npm_client(f"client.send(new ImportAiChatUsage({{ $, events: [{two}] }}))")
    assert (told["accepted"], told["duplicate"], told["refused"]) == (1, 0, 1)
    assert [(each["position"], each["id"]) for each in told["refusals"]] == [(1, "b")]
    corrected = npm_client("client.send(new CorrectAiChatUsage({ $, eventId: 'a', tokens: -2, reason: 'slip' }))")
    assert corrected["tokensUsed"] == 3
    proved = npm_client("client.send(new VerifyAiChatLedger({ $ }))")
    assert (proved["events"], proved["tokens"], proved["differences"]) == (2, 3, [])
    assert npm_client("client.send(new PruneAiChatLedger({ $ }))")["events"] == 0


@pytest.mark.parametrize("call", ["send", "post"])
@pytest.mark.parametrize("at", [f"{DATE}.toISOString()", f"'{INSTANT_JSON}'"])
def test_npm_reads_a_report_of_an_instant(npm_client, call, at):
    npm_client(f"client.send(new ImportAiChatUsage({{ $, events: [{{ id: 'a', at: {DATE}, tokens: 5 }}] }}))")
    report = npm_client(f"client.{call}(new GetAiChatUsageReport({{ $, at: {at} }}))")
    assert (report["at"], report["tokensUsed"], report["tokensHeld"]) == (INSTANT_JSON, 5, 0)
    assert npm_client(f"toDate('{report['at']}').getTime()") == 1_772_600_767_890


@pytest.mark.parametrize("call", ["send", "post", "get"])
def test_npm_reads_whose_the_tokens_of_an_instant_are(npm_client, call):
    npm_client(f"client.send(new ImportAiChatUsage({{ $, events: [{{ id: 'a', at: {DATE}, tokens: 5 }}] }}))")
    told = npm_client(f"client.{call}(new GetAiChatUsageBreakdown({{ $, by: 'model', at: '{INSTANT_JSON}' }}))")
    assert told["results"] == [{"events": 1, "tokens": 5, "inputTokens": 0, "outputTokens": 0}]
    assert npm_client(f"toDate('{told['until']}').toISOString()") == "2026-03-04T06:00:00.000Z"


def test_npm_s_text_of_a_date_object_in_a_query_is_refused_by_name(npm_process, host, company):
    """It names no instant in any form of the contract. The classes say string, and a body carries ISO."""
    call = f"client.get(new GetAiChatUsageReport({{ companyId: '{company}', at: {DATE} }}))"
    told = npm_process(call, url=host.url, bearer=host.operator)["raised"]["responseStatus"]
    assert (told["errorCode"], told["errors"][0]["fieldName"]) == ("SerializationException", "At")


@pytest.mark.parametrize("verb", ["put", "patch", "post", "send"])
def test_npm_changes_and_reads_a_budget(npm_client, verb):
    changed = npm_client(f"client.{verb}(new UpdateAiChatBudget({{ $, tokenLimit: 9, reason: 'trial' }}))")
    assert (changed["tokenLimit"], changed["isDefault"]) == (9, False)
    (change,) = npm_client("client.send(new GetAiChatBudget({ $ }))")["history"]
    assert (change["tokenLimit"], change["reason"]) == (9, "trial")


def test_npm_makes_lists_and_revokes_an_api_key(npm_client):
    made = npm_client("client.send(new CreateApiKey({ $, name: 'n', roles: ['usage-writer'] }))")
    assert (made["result"]["roles"], made["result"]["networks"]) == (["usage-writer"], [])
    assert npm_client("client.send(new ApiKeyQuery({ $ }))")["results"] == [made["result"]]
    key_id = made["result"]["id"]
    assert npm_client(f"client.send(new RevokeApiKey({{ id: '{key_id}' }}))") == {"id": key_id}
    assert npm_client("client.send(new ApiKeyQuery({ $ }))")["results"][0]["revokedAt"]


def test_python_holds_renews_settles_and_releases(python):
    held = python("client.send(ReserveAiChatTokens($, hold_id='h', tokens=50, model='m'))")
    assert (held["class"], held["hold_state"], held["hold_tokens"]) == ("AiChatHoldResponse", "open", 50)
    renewed = python("client.put(RenewAiChatHold($, hold_id='h', ttl_seconds=600))")
    assert renewed["hold_expires_at"] > held["hold_expires_at"]
    assert python("client.get(GetAiChatHold($, hold_id='h'))")["tokens_held"] == 50
    settled = python("client.send(SettleAiChatHold($, hold_id='h', tokens_used=20, input_tokens=15))")
    assert (settled["hold_state"], settled["hold_tokens_used"], settled["tokens_used"]) == ("settled", 20, 20)
    python("client.send(ReserveAiChatTokens($, hold_id='i', tokens=50))")
    assert python("client.delete(ReleaseAiChatHold($, hold_id='i'))")["hold_state"] == "released"


def test_npm_holds_renews_settles_and_releases(npm_client):
    held = npm_client("client.send(new ReserveAiChatTokens({ $, holdId: 'h', tokens: 50, model: 'm' }))")
    assert (held["holdState"], held["holdTokens"]) == ("open", 50)
    renewed = npm_client("client.put(new RenewAiChatHold({ $, holdId: 'h', ttlSeconds: 600 }))")
    assert renewed["holdExpiresAt"] > held["holdExpiresAt"]
    assert npm_client("client.send(new GetAiChatHold({ $, holdId: 'h' }))")["tokensHeld"] == 50
    settled = npm_client("client.send(new SettleAiChatHold({ $, holdId: 'h', tokensUsed: 20, inputTokens: 15 }))")
    assert (settled["holdState"], settled["holdTokensUsed"], settled["tokensUsed"]) == ("settled", 20, 20)
    npm_client("client.send(new ReserveAiChatTokens({ $, holdId: 'i', tokens: 50 }))")
    assert npm_client("client.delete(new ReleaseAiChatHold({ $, holdId: 'i' }))")["holdState"] == "released"


def test_a_budget_that_does_not_fit_reaches_npm_s_client_with_its_figures(npm_process, host, company):
    call = f"client.send(new ReserveAiChatTokens({{ companyId: '{company}', tokens: 2000000 }}))"
    told = npm_process(call, url=host.url, bearer=host.operator)["raised"]["responseStatus"]
    assert (told["errorCode"], told["meta"]["Reason"], told["meta"]["TokenLimit"]) == (
        "BudgetExceeded",
        "AboveLimit",
        "1000000",
    )
