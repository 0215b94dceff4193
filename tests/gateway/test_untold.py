"""Providers that know no stream_options: the call goes through all the same, and the next one at once."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.budget import Budget
from kvot.core.model import Source
from kvot.gateway.known import KEPT_S, MODELS_MAX, Known, Served
from kvot.gateway.providers import DIALECTS
from kvot.gateway.untold import ask_of, refuses_usage
from kvot.gateway.upstream.forward import ForwardUpstream
from kvot.gateway.upstream.port import UpstreamReply
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import CALLS, ask, post
from tests.gateway.conftest import OPERATOR
from tests.provider import Provider, Script

REFUSES = Script(refuses="stream_options")
PATH = "/other/v1/chat/completions"
STREAM = {name: value for name, value in CALLS["chat-stream"][1].items() if name != "max_completion_tokens"}
STREAM |= {"max_tokens": 100}
COMPATIBLE: Any = DIALECTS["compatible"]
ENDPOINT = COMPATIBLE.find("POST", "/chat/completions", {}).endpoint
ASK = ENDPOINT.read(b'{"model":"m","messages":[],"stream":true}', {})


def is_asked(untold: Known[bool], provider: str, now_s: float) -> bool:
    asked: Any = ask_of(untold, Served(provider, "", "m"), ENDPOINT, ASK, now_s)
    return bool(asked.adds_usage)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_call_is_sent_again_without_it_and_settled_by_estimate(open_compatible, status):
    scene = await open_compatible(replace(REFUSES, status=status), Script())
    seen = await post(scene, PATH, STREAM)
    assert (seen.status, seen.is_whole) == (200, True)
    first, again = scene.provider.requests
    assert (first.json, again.json) == (STREAM | {"stream_options": {"include_usage": True}}, STREAM)
    assert seen.body == again.reply
    assert await scene.settled() > 0
    assert {share.label for share in await scene.shares("source")} == {Source.ESTIMATED}


async def test_the_next_calls_go_right_at_once(open_compatible):
    scene = await open_compatible(REFUSES)
    for requests in (2, 3, 4):
        assert (await post(scene, PATH, STREAM)).status == 200
        assert len(scene.provider.requests) == requests
    assert "stream_options" not in scene.provider.requests[-1].json


async def test_what_is_known_of_one_model_says_nothing_of_another(open_compatible):
    scene = await open_compatible(REFUSES)
    await post(scene, PATH, STREAM)
    await post(scene, PATH, STREAM | {"model": "other"})
    assert ["stream_options" in each.json for each in scene.provider.requests] == [True, False, True, False]


async def test_a_lowered_ceiling_stays_lowered(open_compatible):
    scene = await open_compatible(REFUSES, limit=150)
    seen = await post(scene, PATH, STREAM)
    lowered = int(seen.headers["x-kvot-output-tokens-max"])
    assert [each.json["max_tokens"] for each in scene.provider.requests] == [lowered, lowered]


async def test_a_client_that_asked_for_it_itself_is_told_of_the_refusal(open_compatible):
    scene = await open_compatible(REFUSES)
    seen = await post(scene, PATH, STREAM | {"stream_options": {"include_usage": True}})
    assert (seen.status, len(scene.provider.requests), await scene.settled()) == (400, 1, 0)


async def test_another_refusal_passes_at_once(open_compatible):
    scene = await open_compatible(Script(status=400))
    assert (await post(scene, PATH, STREAM)).status == 400
    assert (len(scene.provider.requests), await scene.settled()) == (1, 0)


async def test_a_call_that_is_refused_either_way_teaches_nothing(open_compatible):
    scene = await open_compatible(REFUSES, Script(status=400), Script())
    refused, answered = await post(scene, PATH, STREAM), await post(scene, PATH, STREAM)
    assert (refused.status, b"The mock was told so" in refused.body, answered.status) == (400, True, 200)
    assert ["stream_options" in each.json for each in scene.provider.requests] == [True, False, True]


@pytest.mark.parametrize("call", ["chat", "responses-stream", "messages-stream", "gemini-stream", "ollama-stream"])
async def test_where_nothing_was_added_nothing_is_sent_again(open_scene, call):
    scene = await open_scene(Script(refuses="model" if "gemini" not in call else "contents"))
    assert (await ask(scene, call)).status == 400
    assert len(scene.provider.requests) == 1


def test_a_provider_is_asked_again_after_a_while():
    untold: Known[bool] = Known()
    untold.remember(Served("p", "", "m"), True, 0.0)
    assert not is_asked(untold, "p", KEPT_S - 1)
    assert is_asked(untold, "p", KEPT_S)
    assert is_asked(untold, "other", 1.0)


def test_models_are_remembered_up_to_a_bound():
    untold: Known[bool] = Known()
    for number in range(MODELS_MAX + 1):
        untold.remember(Served("p", "", "m" if number == 0 else f"m{number}"), True, 0.0)
    assert is_asked(untold, "p", 0.0)


REAL = [
    b'{"error":{"message":"Unrecognized request argument supplied: stream_options","param":null}}',
    b'{"error":{"message":"Unknown parameter: \'stream_options\'. (request id: 2)","param":"stream_options"}}',
    b'{"error":{"message":"Oh no.","param":"stream_options.include_usage"}}',
    b'{"error":{"message":"property \'stream_options\' is unsupported"}}',
    b'{"error":{"message":"Validation error at #/stream_options: Extra inputs are not permitted"}}',
    b'{"object":"error","message":{"detail":[{"loc":["body","stream_options","include_usage"],"msg":"Extra inputs"}]}}',
    b"""{"message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs'}]"}""",
    b'{"error_code":"BAD_REQUEST","message":"Bad request: json: unknown field \\"stream_options\\"\\n"}',
    b'{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \\"stream_options\\": no field."}}',
    b"Failed to deserialize the JSON body into the target type: unknown field `stream_options`, expected `model`",
]
"""What servers answer that know no such member, as they and those who met them wrote it down."""
OTHER_WORDS = [
    b'{"message":"watsonx does not support parameters: [\'stream_options\'], for model=m"}',
    b'{"error":{"message":"Additional properties are not allowed (\'stream_options\' was unexpected)"}}',
]
FORGED = [
    b'{"error":{"message":"Error while downloading https://evil/stream_options/x.png.","param":null}}',
    b'{"error":{"message":"Invalid image: stream_options","param":"messages[0].stream_options"}}',
    b'{"error":{"message":"404, message=\'stream_options\', url=\'https://evil/x.png\'"}}',
    b'{"error":{"message":"Failed to call a function.","failed_generation":"stream_options"}}',
    b'{"detail":[{"loc":["body","messages",0,"stream_options"],"msg":"Not permitted","input":"stream_options"}]}',
]
"""What those may answer that a client had say its words, or those of an address that it named."""


def is_believed(refusal: bytes, said: str) -> bool:
    return refuses_usage(ENDPOINT, refusal, json.dumps({"model": "m", "messages": [{"content": said}]}).encode())


@pytest.mark.parametrize("refusal", REAL)
def test_a_refusal_that_is_of_it_is_believed_whatever_the_request_says(refusal):
    assert is_believed(refusal, "https://evil/stream_options")
    assert not refuses_usage(COMPATIBLE.find("POST", "/responses", {}).endpoint, refusal, b"{}")


@pytest.mark.parametrize("refusal", OTHER_WORDS)
def test_one_that_names_it_is_where_no_word_can_be_the_clients(refusal):
    assert is_believed(refusal, "Hello, 10:30 is it, and a/b.")
    for said in ("Stream_Options", " HTTPS://evil/x.png", "s3:/bucket", "https:\\\\evil"):
        assert not is_believed(refusal, said)
    escaped = json.dumps({"messages": ["stream_options"]}).replace("_", "\\u005F").encode()
    assert not refuses_usage(ENDPOINT, refusal, escaped)
    assert refuses_usage(ENDPOINT, refusal, b'{"model":"m","stream_options":{}}')


@pytest.mark.parametrize("refusal", FORGED)
def test_one_that_only_quotes_is_not(refusal):
    assert not is_believed(refusal, "https://evil/x.png")


@pytest.mark.parametrize("refusal", [b"", b"{", b"[]", b"\xff", b'"x"', b'{"error":[1,null,{"loc":[],"param":1}]}'])
def test_no_refusal_is_too_odd_to_be_read(refusal):
    assert not is_believed(refusal + b" stream_option", "")


@pytest.mark.parametrize("place", [[{}], [["body"]], [None], 7, {}])
def test_nor_to_point_nowhere(place):
    refusal = {"detail": [{"loc": place, "msg": "Of all members stream_options is odd."}]}
    assert not is_believed(json.dumps(refusal).encode(), "stream_options")


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_only_what_servers_answer_to_a_member_that_they_do_not_know_is_one(open_compatible, status):
    scene = await open_compatible(replace(REFUSES, status=status))
    assert (await post(scene, PATH, STREAM)).status == (502 if status == 401 else status)
    assert len(scene.provider.requests) == 1


async def test_no_refusal_takes_the_usage_from_a_stream_of_openai(open_scene):
    refused = Script(status=400, error=b'{"error":{"message":"Unknown: stream_options","param":"stream_options"}}')
    scene = await open_scene(refused, Script())
    assert [(await ask(scene, "chat-stream")).status for _ in range(2)] == [400, 200]
    assert all("stream_options" in each.json for each in scene.provider.requests)


async def test_what_azure_refuses_of_one_request_is_asked_of_the_next(open_scene):
    async with Provider(REFUSES) as provider:
        table = {"dialect": "azure", "base_url": f"{provider.url}/openai/v1", "api_key": "sk-azure"}
        scene = await open_scene(providers={"azure": table})
        for _ in range(2):
            assert (await post(scene, "/azure/v1/chat/completions", STREAM)).status == 200
        assert ["stream_options" in each.json for each in provider.requests] == [True, False, True, False]


async def test_a_picture_whose_address_names_it_takes_no_usage_from_any_stream(open_compatible):
    scene = await open_compatible(Script(status=400, error=FORGED[0]), Script())
    picture = {"type": "image_url", "image_url": {"url": "https://evil/stream_options/x.png"}}
    said = [{"role": "user", "content": [picture]}]
    assert [(await post(scene, PATH, STREAM | {"messages": said})).status for _ in range(2)] == [400, 200]
    assert all("stream_options" in each.json for each in scene.provider.requests)


async def test_what_one_company_was_refused_says_nothing_of_anothers_calls(open_compatible):
    scene = await open_compatible(REFUSES)
    ledger, other = scene.house.services.ledger, "c0000000-0000-4000-8000-000000000002"
    await ledger.set_budget(other, Budget(1_000_000, 30), actor="test", reason=None)
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(company_id=other, name="b"))
    for key in (scene.key, made.key, scene.key, made.key):
        assert (await post(replace(scene, key=key), PATH, STREAM)).status == 200
    asked = ["stream_options" in each.json for each in scene.provider.requests]
    assert asked == [True, False, True, False, False, False]


async def test_a_client_that_leaves_before_it_is_sent_again_is_charged_nothing(open_compatible, monkeypatch):
    scene, reaching = await open_compatible(REFUSES), asyncio.Event()
    send, sent = ForwardUpstream.send, iter([True, False])

    async def reaches_once(upstream: ForwardUpstream, *values: Any) -> UpstreamReply:
        if not next(sent):
            reaching.set()
            await asyncio.Event().wait()  # a connection that is not made
        return await send(upstream, *values)

    monkeypatch.setattr(ForwardUpstream, "send", reaches_once)
    client = asyncio.create_task(post(scene, PATH, STREAM))
    await reaching.wait()
    client.cancel()
    assert await scene.settled() == 0
