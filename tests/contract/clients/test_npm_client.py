"""npm's `@servicestack/client`, as it is, with modules that the server generated, against a server as people start it.

Every test runs with a client from `new JsonServiceClient(url)` and with one from `JsonApiClient.create(url)`, which
sends other headers.
"""

import pytest

from tests.contract.clients.parts import KEY_COMPANY

OTHER = "00000000-0000-4000-8000-00000000000b"
GET = "client.get(new GetAiChatUsage())"


def usage_of(company, tokens_used, token_limit=1_000_000):
    return {
        "companyId": company,
        "tokensUsed": tokens_used,
        "tokenLimit": token_limit,
        "tokensRemaining": max(token_limit - tokens_used, 0),
        "isWithinBudget": tokens_used < token_limit,
        "windowDays": 30,
    }


@pytest.mark.parametrize(
    "call",
    [
        GET,
        "client.get(new GetAiChatUsage({ companyId: '{company}' }))",
        "client.get(new GetAiChatUsage({ companyId: null }))",
        "client.get(new GetAiChatUsage({ companyId: '' }))",
        "client.get(new GetAiChatUsage(), { jsconfig: 'edv' })",
        "client.get('/assistant/ai-chat/usage', { CompanyId: '{company}' })",
        "client.send(new GetAiChatUsage())",
        "client.post(new GetAiChatUsage())",
        "client.delete(new GetAiChatUsage())",
        "client.useBasePath('').get(new GetAiChatUsage())",
    ],
)
def test_usage_is_read_in_every_way(npm_client, company, call):
    npm_client("client.post(new RecordAiChatUsage({ tokensUsed: 42 }))")
    assert npm_client(call.replace("{company}", company)) == {"returned": usage_of(company, 42)}


@pytest.mark.parametrize(
    "call",
    [
        "client.post(new RecordAiChatUsage({ tokensUsed: 42 }))",
        "client.post(new RecordAiChatUsage({ companyId: '{company}', tokensUsed: 42 }))",
        "client.post(new RecordAiChatUsage({ companyId: null, tokensUsed: 42 }))",
        "client.put(new RecordAiChatUsage({ tokensUsed: 42 }))",
        "client.send(new RecordAiChatUsage({ tokensUsed: 42 }))",
        "client.postBody(new RecordAiChatUsage({ companyId: '{company}' }), { tokensUsed: 42 })",
        "client.useBasePath('').post(new RecordAiChatUsage({ tokensUsed: 42 }))",
    ],
)
def test_usage_is_recorded_in_every_way(npm_client, company, call):
    assert npm_client(call.replace("{company}", company)) == {"returned": usage_of(company, 42)}


def test_a_path_of_the_operation_takes_the_body_that_says_it_is_json(npm_client, company):
    """JsonApiClient sends its bodies as text/plain. `/api` reads them all the same, other paths by their type."""
    call = "client.postToUrl('/assistant/ai-chat/usage', new RecordAiChatUsage({ tokensUsed: 42 }))"
    as_json = {"headers": {"Content-Type": "application/json"}}
    assert npm_client(call, **as_json) == {"returned": usage_of(company, 42)}
    if npm_client.keywords["client"] == "JsonApiClient":
        assert npm_client(call)["raised"]["responseStatus"]["errorCode"] == "GreaterThan"
    assert npm_client(GET) == {"returned": usage_of(company, 42)}


@pytest.mark.parametrize("call", ["api", "apiVoid"])
def test_an_answer_comes_as_a_result(npm_client, company, call):
    recorded = npm_client(f"client.{call}(new RecordAiChatUsage({{ tokensUsed: 42 }}))")["returned"]
    assert recorded == {"response": usage_of(company, 42)}
    assert npm_client(f"client.{call}(new GetAiChatUsage())")["returned"] == {"response": usage_of(company, 42)}
    assert npm_client(f"(await client.{call}(new GetAiChatUsage())).succeeded") == {"returned": True}


def test_a_form_is_read_like_a_body(npm_client, company):
    form = "(() => { const form = new FormData(); form.append('tokensUsed', '42'); return form })()"
    answer = npm_client(f"client.apiForm(new RecordAiChatUsage(), {form})")
    assert answer == {"returned": {"response": usage_of(company, 42)}}


@pytest.mark.parametrize("base_path", ["api", ""])
def test_a_batch_is_carried_out_in_order(npm_client, company, base_path):
    calls = "new RecordAiChatUsage({ tokensUsed: 1 }), new RecordAiChatUsage({ tokensUsed: 2 })"
    answer = npm_client(f"client.useBasePath('{base_path}').sendAll([{calls}])")
    assert answer == {"returned": [usage_of(company, 1), usage_of(company, 3)]}


def test_what_nobody_waits_for_counts(npm_client, company):
    calls = "new RecordAiChatUsage({ tokensUsed: 1 }), new RecordAiChatUsage({ tokensUsed: 2 })"
    assert npm_client(f"client.useBasePath('').sendAllOneWay([{calls}])") == {}
    assert "raised" not in npm_client("client.useBasePath('').publish(new RecordAiChatUsage({ tokensUsed: 4 }))")
    assert npm_client(GET) == {"returned": usage_of(company, 7)}


def test_a_batch_stops_at_the_first_failure_and_says_where(npm_client, company):
    calls = "new RecordAiChatUsage({ tokensUsed: 1 }), new RecordAiChatUsage({ tokensUsed: 0 })"
    told = npm_client(f"client.sendAll([{calls}])")["raised"]["responseStatus"]
    assert (told["errorCode"], told["meta"]) == ("GreaterThan", {"AutoBatchIndex": "1"})
    assert npm_client(GET) == {"returned": usage_of(company, 1)}


@pytest.mark.parametrize("credential", ["bearer", "x-api-key", "user name"])
def test_an_api_key_speaks_for_its_company(anonymous_npm, host, credential):
    given = {
        "bearer": {"bearer": host.key},
        "x-api-key": {"headers": {"x-api-key": host.key}},
        "user name": {"call": f"(JsonServiceClient.toBase64 = btoa, client.setCredentials('{host.key}', ''), {GET})"},
    }[credential]
    assert anonymous_npm(**{"call": GET} | given) == {"returned": usage_of(KEY_COMPANY, 0)}


def test_who_is_refused_may_sign_in_and_the_client_asks_again(anonymous_npm, host, company):
    signs_in = f"async () => {{ client.bearerToken = '{host.token(company)}' }}"
    answer = anonymous_npm(f"(client.onAuthenticationRequired = {signs_in}, {GET})", bearer="OLD")
    assert answer == {"returned": usage_of(company, 0)}


def test_cookies_that_the_client_mangled_are_no_hindrance(npm_client, company):
    cookies = "'ss-id=abc; 01 Jan 2100 00:00:00 GMT=null'"
    answer = npm_client(f"(client.manageCookies = false, client.headers.set('Cookie', {cookies}), {GET})")
    assert answer == {"returned": usage_of(company, 0)}


def test_the_client_can_ask_who_it_is(npm_client, anonymous_npm, company):
    assert npm_client("client.get('/auth')")["returned"]["meta"]["CompanyId"] == company
    assert anonymous_npm("client.get('/auth')")["raised"]["responseStatus"]["errorCode"] == "Unauthorized"


def test_calls_that_are_under_way_together_count_once_each(npm_client, company):
    one = "client.post(new RecordAiChatUsage({ tokensUsed: 1 }))"
    answers = npm_client(f"Promise.all([...Array(40)].map(() => {one}))")["returned"]
    assert sorted(each["tokensUsed"] for each in answers) == list(range(1, 41))


REFUSALS = {
    "401": ("new GetAiChatUsage()", "Unauthorized", "Not Authenticated", []),
    "403": (
        f"new GetAiChatUsage({{ companyId: '{OTHER}' }})",
        "Forbidden",
        "The credential may not act for another company.",
        [],
    ),
    "400": (
        "new RecordAiChatUsage({ tokensUsed: 0 })",
        "GreaterThan",
        "'Tokens Used' must be greater than '0'.",
        ["TokensUsed"],
    ),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_a_result_of_api_and_is_thrown_by_the_others(npm_client, anonymous_npm, status):
    request, code, message, fields = REFUSALS[status]
    calling = anonymous_npm if status == "401" else npm_client
    thrown = calling(f"client.send({request})")["raised"]["responseStatus"]
    assert (thrown["errorCode"], thrown["message"], "stackTrace" in thrown) == (code, message, False)
    assert [each["fieldName"] for each in thrown.get("errors", [])] == fields
    for call in ("api", "apiVoid"):
        assert calling(f"client.{call}({request})") == {"returned": {"error": thrown}}


def test_a_retry_under_one_key_counts_once_and_other_content_under_it_conflicts(npm_client, company):
    key = {"Idempotency-Key": "turn-1"}
    for _ in range(2):
        answer = npm_client("client.post(new RecordAiChatUsage({ tokensUsed: 5 }))", headers=key)
        assert answer == {"returned": usage_of(company, 5)}
    error = npm_client("client.api(new RecordAiChatUsage({ tokensUsed: 6 }))", headers=key)["returned"]["error"]
    assert error["errorCode"] == "Conflict"


def test_the_original_s_names_are_read_where_the_host_writes_them(pascal_npm_client, company):
    """Its modules expect PascalCase; errors the client itself brings into camelCase."""
    expected = {name[0].upper() + name[1:]: value for name, value in usage_of(company, 42).items()}
    assert pascal_npm_client("client.post(new RecordAiChatUsage({ TokensUsed: 42 }))") == {"returned": expected}
    assert pascal_npm_client(GET) == {"returned": expected}
    assert pascal_npm_client(f"client.get(new GetAiChatUsage({{ CompanyId: '{company}' }}))") == {"returned": expected}
    batch = pascal_npm_client("client.sendAll([new GetAiChatUsage(), new GetAiChatUsage()])")
    assert batch == {"returned": [expected] * 2}


def test_refusals_in_the_original_s_names_are_understood(pascal_npm_client):
    error = pascal_npm_client("client.api(new RecordAiChatUsage({ TokensUsed: 0 }))")["returned"]["error"]
    assert (error["errorCode"], error["errors"][0]["fieldName"]) == ("GreaterThan", "TokensUsed")
    thrown = pascal_npm_client("client.get(new GetAiChatUsage({ CompanyId: 'zzz' }))")["raised"]["responseStatus"]
    assert thrown["errorCode"] == "SerializationException"
