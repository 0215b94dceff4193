"""PyPI's `servicestack`, as it is, with classes that the server generated, against a server as people start it."""

import pytest

from tests.contract.clients.parts import KEY_COMPANY

OTHER = "00000000-0000-4000-8000-00000000000b"
GET = "client.get(GetAiChatUsage())"


def usage_of(company, tokens_used, token_limit=1_000_000):
    """What the client makes of an answer: its own class, members by their Python names."""
    return {
        "class": "AiChatUsageResponse",
        "company_id": company,
        "tokens_used": tokens_used,
        "token_limit": token_limit,
        "tokens_remaining": max(token_limit - tokens_used, 0),
        "is_within_budget": tokens_used < token_limit,
        "window_days": 30,
        "response_status": None,
    }


@pytest.mark.parametrize(
    "call",
    [
        GET,
        "client.get(GetAiChatUsage(company_id='{company}'))",
        "client.get(GetAiChatUsage(), args={{'jsconfig': 'edv', 'format': 'json'}})",
        "client.post(GetAiChatUsage())",
        "client.put(GetAiChatUsage())",
        "client.delete(GetAiChatUsage())",
        "client.options(GetAiChatUsage())",
        "client.send(GetAiChatUsage())",
        "client.set_base_path('').get(GetAiChatUsage())",
        "client.set_base_path('').send(GetAiChatUsage())",
        "client.get_url('/assistant/ai-chat/usage', AiChatUsageResponse, args={{'CompanyId': '{company}'}})",
    ],
)
def test_usage_is_read_in_every_way(python, company, call):
    python("client.post(RecordAiChatUsage(tokens_used=42))")
    assert python(call.format(company=company)) == {"returned": usage_of(company, 42)}


@pytest.mark.parametrize(
    "call",
    [
        "client.post(RecordAiChatUsage(tokens_used=42))",
        "client.post(RecordAiChatUsage(company_id='{company}', tokens_used=42))",
        "client.put(RecordAiChatUsage(tokens_used=42))",
        "client.send(RecordAiChatUsage(tokens_used=42))",
        "client.post(RecordAiChatUsage(), body=RecordAiChatUsage(tokens_used=42))",
        "client.post(RecordAiChatUsage(company_id='{company}'), body='{{\"TokensUsed\":42}}')",
        "client.post_url('/assistant/ai-chat/usage', RecordAiChatUsage(tokens_used=42))",
        "client.post_file_with_request(RecordAiChatUsage(tokens_used=42), {file})",
        "client.set_base_path('').post(RecordAiChatUsage(tokens_used=42))",
    ],
)
def test_usage_is_recorded_in_every_way(python, company, call):
    file = "UploadFile('chat', 'chat.txt', 'text/plain', BytesIO(b'hello'))"
    assert python(call.format(company=company, file=file)) == {"returned": usage_of(company, 42)}


def test_an_answer_is_also_had_without_a_class_of_its_own(python, company):
    jsv = python("client.get_url('/assistant/ai-chat/usage.jsv', str)")["returned"]
    assert jsv.startswith(f"{{CompanyId:{company},TokensUsed:0,")
    assert python("client.get_url('/assistant/ai-chat/usage', None)")["returned"]["companyId"] == company
    assert python("client.head(GetAiChatUsage())") == {"returned": None}


@pytest.mark.parametrize("base_path", ["api", ""])
def test_a_batch_is_carried_out_in_order(python, company, base_path):
    calls = "RecordAiChatUsage(tokens_used=1), RecordAiChatUsage(tokens_used=2)"
    answers = python(f"client.set_base_path('{base_path}').send_all([{calls}])")["returned"]
    assert answers == [usage_of(company, 1), usage_of(company, 3)]
    again = python(f"client.set_base_path('{base_path}').send_all([GetAiChatUsage(), GetAiChatUsage()])")
    assert again == {"returned": [usage_of(company, 3)] * 2}


def test_a_batch_that_nobody_waits_for_counts(python, company):
    calls = "[RecordAiChatUsage(tokens_used=1), RecordAiChatUsage(tokens_used=2)]"
    assert python(f"client.set_base_path('').send_all_oneway({calls})") == {"returned": None}
    assert python(GET) == {"returned": usage_of(company, 3)}


def test_over_budget_is_recorded_and_told(python, company):
    answer = python("client.post(RecordAiChatUsage(tokens_used=1000001))")
    assert answer == {"returned": usage_of(company, 1_000_001)}


def test_a_batch_stops_at_the_first_failure_and_says_where(python, company):
    calls = "RecordAiChatUsage(tokens_used=1), RecordAiChatUsage(), RecordAiChatUsage(tokens_used=2)"
    raised = python(f"client.send_all([{calls}])")
    assert (raised["raised"], raised["status_code"]) == ("WebServiceException", 400)
    assert raised["response_status"]["error_code"] == "GreaterThan"
    assert raised["response_status"]["meta"] == {"AutoBatchIndex": "1"}
    assert python(GET) == {"returned": usage_of(company, 1)}


@pytest.mark.parametrize("credential", ["bearer", "x-api-key", "X-Api-Key", "user name"])
def test_an_api_key_speaks_for_its_company(anonymous_python, host, credential):
    given = {"bearer": host.key} if credential == "bearer" else {"headers": {credential: host.key}}
    if credential == "user name":
        answer = anonymous_python(f"client.set_credentials('{host.key}', '').get(GetAiChatUsage())")
    else:
        answer = anonymous_python(GET, **given)
    assert answer == {"returned": usage_of(KEY_COMPANY, 0)}


@pytest.mark.parametrize("bearer", [None, "OLD"])
def test_who_is_refused_may_sign_in_and_the_client_asks_again(anonymous_python, host, company, bearer):
    signs_in = f"lambda: client.set_bearer_token('{host.token(company)}')"
    call = f"(setattr(client, 'on_authentication_required', {signs_in}), {GET})[1]"
    assert anonymous_python(call, bearer=bearer) == {"returned": usage_of(company, 0)}


def test_what_kvot_does_not_hand_out_is_refused_and_understood(anonymous_python):
    """Refresh tokens and passwords belong to the platform's own sign-in."""
    raised = anonymous_python(f"client.set_refresh_token('R') and {GET}", bearer="OLD")
    assert (raised["status_code"], raised["response_status"]["error_code"]) == (405, "NotImplementedException")
    raised = anonymous_python("client.post(Authenticate(provider='credentials', user_name='u', password='p'))")
    assert (raised["status_code"], raised["response_status"]["error_code"]) == (401, "Unauthorized")


def test_the_client_can_ask_who_it_is(python, anonymous_python):
    told = python("client.get(Authenticate())")["returned"]
    assert told["class"] == "AuthenticateResponse"
    assert anonymous_python("client.get(Authenticate())")["status_code"] == 401


REFUSALS = {
    "401": (GET, "Unauthorized", "Not Authenticated"),
    "403": (
        f"client.get(GetAiChatUsage(company_id='{OTHER}'))",
        "Forbidden",
        "The credential may not act for another company.",
    ),
    "405": (
        "client.patch(RecordAiChatUsage(tokens_used=1))",
        "NotImplementedException",
        "Could not find method named Patch(RecordAiChatUsage) or Any(RecordAiChatUsage) on Service BokaMera.API.Host",
    ),
    "400": ("client.post(RecordAiChatUsage())", "GreaterThan", "'Tokens Used' must be greater than '0'."),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_raised_with_its_status_code_and_message(python, anonymous_python, status):
    call, code, message = REFUSALS[status]
    raised = (anonymous_python if status == "401" else python)(call)
    assert (raised["raised"], raised["status_code"]) == ("WebServiceException", int(status))
    told = raised["response_status"]
    assert (told["class"], told["error_code"], told["message"]) == ("ResponseStatus", code, message)
    assert told["stack_trace"] is None


def test_the_reason_phrase_is_what_the_recorded_clients_saw(python, anonymous_python):
    assert anonymous_python(GET)["status_description"] == "Not Authenticated"
    assert python("client.post(RecordAiChatUsage())")["status_description"] == "GreaterThan"


def test_a_fault_of_a_field_names_the_field(python):
    (fault,) = python("client.post(RecordAiChatUsage(tokens_used=-1))")["response_status"]["errors"]
    assert (fault["class"], fault["error_code"], fault["field_name"]) == ("ResponseError", "GreaterThan", "TokensUsed")
    assert fault["message"] == "'Tokens Used' must be greater than '0'."
    assert fault["meta"]["ComparisonValue"] == "0"


def test_more_tokens_than_one_event_may_have_are_a_fault_of_the_member_that_was_sent(python):
    (fault,) = python("client.post(RecordAiChatUsage(tokens_used=9007199254740993))")["response_status"]["errors"]
    assert (fault["error_code"], fault["field_name"]) == ("InclusiveBetween", "TokensUsed")


def test_a_text_that_is_no_company_is_a_fault_of_its_field(python):
    raised = python("client.get(GetAiChatUsage(company_id='zzz'))")
    assert (raised["status_code"], raised["response_status"]["error_code"]) == (400, "SerializationException")
    assert [each["field_name"] for each in raised["response_status"]["errors"]] == ["CompanyId"]


def test_a_retry_under_one_key_counts_once_and_other_content_under_it_conflicts(python, company):
    key = {"Idempotency-Key": "turn-1"}
    for _ in range(2):
        answer = python("client.post(RecordAiChatUsage(tokens_used=5))", headers=key)
        assert answer == {"returned": usage_of(company, 5)}
    raised = python("client.post(RecordAiChatUsage(tokens_used=6))", headers=key)
    assert (raised["status_code"], raised["response_status"]["error_code"]) == (409, "Conflict")
    assert "turn-1" in raised["response_status"]["message"]
    assert python(GET) == {"returned": usage_of(company, 5)}


def test_the_original_s_names_are_not_its_own_unless_a_call_asks_for_them(python_process, pascal_host, company):
    """Its classes say camelCase, whatever the host writes: against such a host a caller sets jsconfig."""
    given = {"url": pascal_host.url, "bearer": pascal_host.token(company)}
    assert python_process(GET, **given)["returned"]["company_id"] is None
    answer = python_process("client.get(GetAiChatUsage(), args={'jsconfig': 'eccn'})", **given)
    assert answer == {"returned": usage_of(company, 0)}
