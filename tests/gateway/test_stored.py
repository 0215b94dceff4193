"""What a provider keeps of one company's calls is out of every other company's reach."""

import asyncio
import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.contract.provider_keys import UpdateAiChatProviderKey
from kvot.core.errors import StoreUnavailable
from kvot.core.model import Decision, NewHold
from kvot.gateway.dialect import Named
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.anthropic.media import THREAD_TOKENS
from kvot.gateway.providers.openai.media import STORED_TOKENS
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.operations.provider_keys import set_provider_key
from tests.gateway.calls import CALLS, Seen, post
from tests.gateway.conftest import COMPANY, OPERATOR, Scene
from tests.gateway.sizes import framed
from tests.provider import Fault, Script

OTHER = "c0000000-0000-4000-8000-000000000002"
PATHS = [
    ("GET", "/openai/v1/responses/resp_1"),
    ("GET", "/openai/v1/responses/resp_1/input_items"),
    ("DELETE", "/openai/v1/responses/resp_1"),
    ("POST", "/openai/responses/resp_1/cancel"),
]
PATH, BODY = CALLS["responses"]
STREAM = BODY | {"stream": True}
PREVIOUS = {"previous_response_id": "resp_1"}
TAKEN = {"request_id": "resp_1"}
REFERENCE = [{"type": "item_reference", "id": "msg_1"}]
CODE = {"type": "code_interpreter", "container": "cntr_1"}
SHELL = {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}}
COMPARED = {"prompt_cache_options": {"comparison_response_id": "resp_1"}}
NAMED = [
    ("/v1/responses", PREVIOUS, Named("previous_response_id", "resp_1")),
    ("/v1/responses", {"previous_response_id": 5}, Named("previous_response_id", "")),
    ("/v1/responses", {"previous_response_id": ""}, Named("previous_response_id", "")),
    ("/v1/responses", {"previous_response_id": "x" * 257}, Named("previous_response_id", "")),
    ("/v1/responses", TAKEN, Named("request_id")),
    ("/v1/responses", PREVIOUS | TAKEN, Named("request_id")),
    ("/v1/responses", PREVIOUS | {"input": REFERENCE}, Named("input")),
    ("/v1/responses", PREVIOUS | {"conversation": "conv_1"}, Named("conversation")),
    ("/v1/responses", {"conversation": {"id": "conv_1"}}, Named("conversation")),
    ("/v1/responses", {"input": REFERENCE}, Named("input")),
    ("/v1/responses", {"input": [{"id": "msg_1"}]}, Named("input")),
    ("/v1/responses", {"input": [{"type": "image_generation_call", "id": "ig_1"}]}, Named("input")),
    ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, Named("tools")),
    ("/v1/responses", {"tools": [{"type": "shell", "environment": {"container_id": "cntr_1"}}]}, Named("tools")),
    ("/v1/responses", {"tools": [{"type": "namespace", "tools": [CODE]}]}, Named("tools")),
    ("/v1/responses", {"input": [{"type": "additional_tools", "tools": [CODE]}]}, Named("input")),
    ("/v1/responses", {"input": [{"type": "additional_tools", "tools": [SHELL]}]}, Named("input")),
    ("/v1/responses", {"input": [{"type": "shell_call", "environment": SHELL["environment"]}]}, Named("input")),
    ("/v1/responses", {"input": [{"type": "code_interpreter_call", "container_id": "cntr_1"}]}, Named("input")),
    ("/v1/responses", COMPARED, Named("prompt_cache_options")),
    ("/v1/responses", PREVIOUS | COMPARED, Named("prompt_cache_options")),
    ("/v1/chat/completions", COMPARED, Named("prompt_cache_options")),
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, Named("messages")),
]
FREE = [
    ("/v1/responses", {"input": [{"id": "msg_1", "role": "assistant", "content": "said"}], "store": True}),
    ("/v1/responses", {"input": [5, None, "x"], "previous_response_id": None, "prompt": {"id": "pmpt_1"}}),
    ("/v1/responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("/v1/responses", {"input": [{"type": "additional_tools", "tools": [{"type": "shell", "environment": {}}, 5]}]}),
    ("/v1/responses", {"prompt_cache_options": {"comparison_response_id": None}}),
    ("/v1/responses", {"prompt_cache_options": 5, "request_id": None}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "previous_response_id", "audio": None}]}),
]


def read(dialect: str, path: str, body: Any) -> Any:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found is not None
    assert found.endpoint.read is not None
    return found.endpoint.read(json.dumps({"model": "m"} | body).encode(), found.variables)


@pytest.mark.parametrize(("path", "body", "named"), NAMED)
def test_a_request_says_what_it_names_of_all_that_is_kept(path, body, named):
    assert read("openai", path, body).stored == named


@pytest.mark.parametrize(("path", "body"), FREE)
def test_what_the_client_says_itself_names_nothing(path, body):
    assert read("openai", path, body).stored is None


MESSAGE = {"previous_message_id": "msg_1"}
OF_ANTHROPIC = [
    ("container", "container_1", True),
    ("container", {"id": "container_1"}, True),
    ("container", {"skills": []}, False),
    ("container", None, False),
    ("thread", {"type": "continue"} | MESSAGE, True),
    ("thread", {"type": "create"} | MESSAGE, True),
    ("thread", {"type": "resume"}, True),
    ("thread", "msg_1", True),
    ("thread", {}, True),
    ("thread", {"type": "create"}, False),
    ("thread", None, False),
    ("diagnostics", MESSAGE, True),
    ("diagnostics", {"previous_message_id": None}, False),
    ("diagnostics", None, False),
]


@pytest.mark.parametrize(("member", "value", "is_named"), OF_ANTHROPIC)
def test_anthropics_threads_containers_and_messages_are_kept_too(member, value, is_named):
    body = {"max_tokens": 5, "messages": [], member: value}
    assert read("anthropic", "/v1/messages", body).stored == (Named(member) if is_named else None)


# -- over a real port -------------------------------------------------------------------------------------------------


async def send(scene: Scene, verb: str, path: str, body: Any = None, key: str | None = None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key or scene.key}"}
    async with httpx2.AsyncClient() as client:
        return await client.request(verb, scene.url + path, json=body, headers=headers)


async def key_of(scene: Scene, **asked: Any) -> str:
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(**asked))
    assert made.key is not None
    return made.key


def official(scene: Scene, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=key or scene.key, max_retries=0)


async def make(scene: Scene, body: Any = BODY) -> Seen:
    """An answer that the provider stores as resp_1."""
    seen = await post(scene, PATH, body)
    assert seen.status == 200
    return seen


async def is_known(scene: Scene, reply_id: str = "resp_1") -> bool:
    now_ms = scene.house.services.ledger.now_ms()
    return await scene.house.store.find_reply(COMPANY, "openai", reply_id, now_ms=now_ms) is not None


async def test_the_official_client_goes_on_with_what_it_made(scene):
    async with official(scene) as client:
        first = await client.responses.create(model="m", input="Hello")
        second = await client.responses.create(model="m", input="And?", previous_response_id=first.id)
        assert (await client.responses.retrieve(second.id)).id == second.id
        items = await client.responses.input_items.list(second.id, limit=5, order="asc", after="msg_9", include=[])
        assert [item.id async for item in items] == ["msg_0"]
        await client.responses.cancel(second.id)
        await client.responses.delete(second.id)
    assert scene.provider.requests[1].json["previous_response_id"] == first.id
    assert sorted(scene.provider.requests[3].query.split("&")) == ["after=msg_9", "limit=5", "order=asc"]


async def test_an_answer_that_is_fetched_again_is_no_new_usage(scene):
    await make(scene)
    used = await scene.settled()
    async with official(scene) as client:
        usages = [(await client.responses.retrieve("resp_1")).usage for _ in range(2)]
    assert all(usage is not None and usage.total_tokens == used > 0 for usage in usages)
    assert (len(scene.provider.requests), await scene.settled()) == (3, used)


async def test_the_official_client_goes_on_with_what_it_streamed(scene):
    async with official(scene) as client:
        async with client.responses.stream(model="m", input="Hello") as stream:
            first = await stream.get_final_response()
        async with client.responses.stream(model="m", input="And?", previous_response_id=first.id) as stream:
            await stream.until_done()
        assert (await client.responses.retrieve(first.id)).id == first.id


async def test_another_company_is_told_that_there_is_none(scene):
    await make(scene)
    async with official(scene, await key_of(scene, company_id=OTHER)) as client:
        of = client.responses
        for call in (of.retrieve, of.delete, of.cancel, of.input_items.list):
            with pytest.raises(openai.NotFoundError, match="Response with id 'resp_1' not found"):
                await call("resp_1")
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="m", input="And?", previous_response_id="resp_1")
    error = refused.value
    assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")
    assert error.type == "invalid_request_error"
    assert len(scene.provider.requests) == 1


@pytest.mark.parametrize(("verb", "path"), PATHS)
async def test_the_words_are_the_same_whether_or_not_there_is_such_an_answer(scene, verb, path):
    before = await send(scene, verb, path)
    await make(scene)
    other = await send(scene, verb, path, key=await key_of(scene, company_id=OTHER))
    assert (before.status_code, before.json()) == (other.status_code, other.json())
    assert (before.status_code, before.json()["error"]["code"]) == (404, "not_found")
    assert len(scene.provider.requests) == 1


@pytest.mark.parametrize("path", ["/openai/v1/responses", "/openai/v1/responses/input_tokens"])
async def test_a_request_that_names_an_answer_of_nobodys_is_refused_and_nothing_is_asked(scene, path):
    reply = await send(scene, "POST", path, BODY | PREVIOUS)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "previous_response_id")
    assert error["code"] == "previous_response_not_found"
    assert "Previous response with id 'resp_1' not found." in error["message"]
    assert not scene.provider.requests
    assert await scene.settled() == 0
    await make(scene)
    assert (await send(scene, "POST", path, BODY | PREVIOUS)).status_code == 200


@pytest.mark.parametrize("path", ["/openai/v1/responses", "/openai/v1/responses/input_tokens"])
@pytest.mark.parametrize(("stored_responses", "status"), [("own", 400), ("shared", 200)])
async def test_nobody_chooses_the_id_of_an_answer_that_another_company_may_have(
    open_scene, path, stored_responses, status
):
    scene = await open_scene(stored_responses=stored_responses)
    reply = await send(scene, "POST", path, BODY | TAKEN)
    assert reply.status_code == status
    assert len(scene.provider.requests) == (status == 200)
    if status == 400:
        assert reply.json()["error"]["param"] == "request_id"


async def test_an_answer_of_ones_own_does_not_open_what_is_named_beside_it(scene):
    await make(scene)
    reply = await send(scene, "POST", PATH, BODY | PREVIOUS | {"input": REFERENCE})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "input")
    assert "KVOT_STORED_RESPONSES" in reply.json()["error"]["message"]
    assert len(scene.provider.requests) == 1


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"input": REFERENCE}, "providerOptions.openai.store = false"),
        ({"input": [{"type": "code_interpreter_call", "container_id": "cntr_1"}], "store": False}, "as text"),
        ({"tools": [CODE]}, '{"type": "auto"}'),
        ({"conversation": "conv_1"}, "Send the conversation itself."),
    ],
)
async def test_a_refusal_says_what_can_be_done_instead(scene, body, advice):
    message = (await send(scene, "POST", PATH, BODY | body)).json()["error"]["message"]
    assert advice in message
    assert ("Send the conversation itself" in message) is ("conversation" in body)


@pytest.mark.parametrize("path", ["/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"])
@pytest.mark.parametrize("member", ["thread", "diagnostics", "container"])
async def test_what_anthropic_keeps_is_out_of_reach_and_nothing_is_asked(scene, path, member):
    body = CALLS["messages"][1] | {member: {"type": "continue", "id": "container_1"} | MESSAGE}
    seen = await post(scene, path, body)
    assert seen.status == 400
    assert f"'{member}' cannot be used" in json.loads(seen.body)["error"]["message"]
    assert not scene.provider.requests
    assert (await post(scene, path, body | {member: None})).status == 200


async def test_the_official_client_sends_the_whole_conversation_in_the_place_of_a_thread(scene):
    async with anthropic.AsyncAnthropic(base_url=f"{scene.url}/anthropic", api_key=scene.key, max_retries=0) as client:
        thread = client.beta.messages.thread(model="m", max_tokens=100)
        for words in ("Hello", "And?"):
            await thread.send({"role": "user", "content": words})
    sent = [each.json for each in scene.provider.requests]
    assert [each["thread"] for each in sent] == [{"type": "create"}] * 2
    assert [len(each["messages"]) for each in sent] == [1, 3]


async def test_an_answer_is_its_own_providers(scene):
    await make(scene)
    assert (await send(scene, "GET", "/mistral/v1/responses/resp_1")).status_code == 404
    assert len(scene.provider.requests) == 1


@pytest.mark.parametrize("body", [BODY, STREAM])
async def test_what_is_not_stored_is_not_remembered(scene, body):
    await make(scene, body | {"store": False})
    assert not await is_known(scene)
    await make(scene, body | {"store": None})
    assert await is_known(scene)


async def test_an_answer_beyond_the_bound_of_a_document_is_remembered(open_scene):
    scene = await open_scene(Script(text="å" * 2**20, chunks=2))
    await make(scene)
    assert await is_known(scene)


@pytest.mark.parametrize("fault", [Fault.ERROR_INSIDE, Fault.DROP_BEFORE_USAGE, Fault.USAGE_MISSING])
async def test_a_stream_that_does_not_end_well_is_remembered_once_its_id_has_passed(open_scene, fault):
    scene = await open_scene(Script(fault=fault))
    seen = await post(scene, PATH, STREAM)
    assert b'"id":"resp_1"' in seen.body
    await scene.settled()
    assert await is_known(scene)


async def test_the_answer_to_another_api_is_not_remembered(scene):
    await post(scene, *CALLS["chat"])
    assert not await is_known(scene, "chatcmpl-1")


async def test_what_is_said_without_an_answer_is_remembered_of_none(open_scene):
    scene = await open_scene(Script(status=500))
    assert (await post(scene, PATH, BODY)).status == 500
    assert not await is_known(scene)


@pytest.mark.parametrize(("verb", "path"), PATHS)
async def test_no_answer_of_the_store_is_no_leave(scene, verb, path, monkeypatch):
    await make(scene)

    async def fail(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(scene.house.store, "find_reply", fail)
    for reply in (await send(scene, verb, path), await send(scene, "POST", PATH, BODY | PREVIOUS)):
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "service_unavailable")
        assert "disk" not in reply.text
    assert len(scene.provider.requests) == 1


async def test_what_could_not_be_remembered_at_once_is_remembered_in_the_end(scene, monkeypatch):
    remember, tries = scene.house.store.remember_reply, []

    async def fail_once(*which: Any, **when: Any) -> None:
        tries.append(which)
        if len(tries) == 1:
            raise StoreUnavailable("busy")
        await remember(*which, **when)

    monkeypatch.setattr(scene.house.store, "remember_reply", fail_once)
    await make(scene)
    assert await scene.settled() == 21
    while not await is_known(scene):
        await send(scene, "GET", "/openai/v1/models")
    assert len(tries) == 2


async def test_what_is_remembered_is_given_to_the_store_in_the_turn_of_the_settlement(scene, monkeypatch):
    """So that both share a commit: neither waits for the other's."""
    both_are_here = asyncio.Barrier(2)

    def wait_and(write: Any) -> Any:
        async def written(*values: Any, **when: Any) -> Any:
            async with asyncio.timeout(10):
                await both_are_here.wait()
            return await write(*values, **when)

        return written

    for name in ("settle", "remember_reply"):
        monkeypatch.setattr(scene.house.store, name, wait_and(getattr(scene.house.store, name)))
    await make(scene)
    assert await is_known(scene)


async def test_a_company_with_a_key_of_its_own_reaches_what_is_its_own(scene):
    request = UpdateAiChatProviderKey(company_id=COMPANY, provider="openai", api_key="sk-the-company-s-own-0123")
    await set_provider_key(scene.house.services, Caller(OPERATOR), request)
    for verb, path in PATHS:
        await send(scene, verb, path)
    assert (await post(scene, PATH, BODY | PREVIOUS)).status == 200
    assert len(scene.provider.requests) == len(PATHS) + 1
    assert not await is_known(scene), "under our key it would be somebody else's"


async def test_a_setting_lets_all_companies_share(open_scene):
    scene = await open_scene(stored_responses="shared")
    for verb, path in PATHS:
        await send(scene, verb, path)
    for named in (PREVIOUS, {"conversation": "conv_1"}):
        assert (await post(scene, PATH, BODY | named)).status == 200
    assert len(scene.provider.requests) == len(PATHS) + 2


async def test_a_superadmin_reaches_what_the_company_that_it_acts_for_has_made(scene):
    """And nothing without one: its key would otherwise reach what each of them has stored."""
    headers = {"authorization": f"Bearer {await key_of(scene, roles=['superadmin'])}"}
    acting, other = ({"x-kvot-company-id": company} for company in (COMPANY, OTHER))
    assert (await post(scene, PATH, BODY, headers | acting)).status == 200
    cancel = "/openai/v1/responses/resp_1/cancel"
    assert (await post(scene, cancel, {}, headers | acting)).status == 200
    assert (await post(scene, cancel, {}, headers | other)).status == 404
    assert (await post(scene, cancel, {}, headers)).status == 404
    assert (await send(scene, "GET", "/openai/v1/responses/resp_1")).status_code == 200


# -- what a call holds that goes on from one --------------------------------------------------------------------------


def amounts_held(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of every hold that is asked for from now on."""
    amounts, reserve = [], scene.house.store.reserve

    async def reserved(company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        amounts.append(hold.amount)
        return await reserve(company_id, hold, now_ms=now_ms)

    monkeypatch.setattr(scene.house.store, "reserve", reserved)
    return amounts


def members_of(named: dict[str, Any]) -> int:
    """What the members that name something come to by themselves."""
    return framed(named) - framed({})


@pytest.mark.parametrize("body", [BODY, STREAM])
async def test_a_call_that_goes_on_from_an_answer_holds_what_that_came_to_beside_its_own(scene, monkeypatch, body):
    amounts = amounts_held(scene, monkeypatch)
    await make(scene, body)
    used = await scene.settled()
    await make(scene, body | PREVIOUS)
    assert amounts[1] - members_of(PREVIOUS) == amounts[0] + used > amounts[0]


async def test_what_is_read_from_a_cache_is_held_in_full_whatever_it_weighs(open_scene, monkeypatch):
    scene = await open_scene(Script(input_tokens=900, cached_tokens=800), cached_token_percent=50)
    amounts = amounts_held(scene, monkeypatch)
    await make(scene)
    await make(scene, BODY | PREVIOUS)
    assert amounts[1] - amounts[0] > 900


async def test_of_an_answer_that_nobody_gave_the_figures_of_the_constant_is_held(open_scene, monkeypatch):
    scene = await open_scene(Script(fault=Fault.USAGE_MISSING))
    amounts = amounts_held(scene, monkeypatch)
    await make(scene)
    await make(scene, BODY | PREVIOUS)
    assert amounts[1] == amounts[0] + STORED_TOKENS + members_of(PREVIOUS)


async def test_where_nothing_is_remembered_the_constant_is_held(open_scene, monkeypatch):
    scene = await open_scene(stored_responses="shared")
    amounts = amounts_held(scene, monkeypatch)
    conversation = {"conversation": "conv_1"}
    for named in ({}, PREVIOUS, conversation, {"prompt": {"id": "pmpt_1"}}):
        await make(scene, BODY | named)
    beside = [members_of(named) for named in (PREVIOUS, conversation)]
    assert [amount - amounts[0] - STORED_TOKENS for amount in amounts[1:3]] == beside
    assert amounts[3] >= amounts[0] + STORED_TOKENS


async def test_of_a_thread_that_may_be_gone_on_with_the_constant_is_held(open_scene, monkeypatch):
    scene = await open_scene(stored_responses="shared")
    amounts = amounts_held(scene, monkeypatch)
    path, body = CALLS["messages"]
    new, old = {"type": "create"}, {"type": "continue"} | MESSAGE
    for thread in (new, old):
        assert (await post(scene, path, body | {"thread": thread})).status == 200
    assert amounts[1] - framed(old) == amounts[0] - framed(new) + THREAD_TOKENS


async def test_an_answer_too_long_for_the_budget_is_not_gone_on_from(open_scene):
    scene = await open_scene(Script(input_tokens=4_000), limit=5_000)
    await make(scene)
    seen = await post(scene, PATH, BODY | PREVIOUS)
    assert (seen.status, len(scene.provider.requests)) == (429, 1)
