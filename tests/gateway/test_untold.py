"""Providers that know no stream_options: the call goes through all the same, and the next one at once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from kvot.core.model import Source
from kvot.gateway.known import KEPT_S, MODELS_MAX, Known, Served
from kvot.gateway.providers import DIALECTS
from kvot.gateway.untold import ask_of, refuses_usage
from kvot.gateway.upstream.forward import ForwardUpstream
from kvot.gateway.upstream.port import UpstreamReply
from tests.gateway.calls import CALLS, ask, post
from tests.provider import Script

REFUSES = Script(refuses="stream_options")
PATH, STREAM = CALLS["chat-stream"]
COMPATIBLE: Any = DIALECTS["compatible"]
ENDPOINT = COMPATIBLE.find("POST", "/chat/completions", {}).endpoint
ASK = ENDPOINT.read(b'{"model":"m","messages":[],"stream":true}', {})


def is_asked(untold: Known[bool], provider: str, now_s: float) -> bool:
    asked: Any = ask_of(untold, Served(provider, "", "m"), ENDPOINT, ASK, now_s)
    return bool(asked.adds_usage)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_call_is_sent_again_without_it_and_settled_by_estimate(open_scene, status):
    scene = await open_scene(replace(REFUSES, status=status), Script())
    seen = await ask(scene, "chat-stream")
    assert (seen.status, seen.is_whole) == (200, True)
    first, again = scene.provider.requests
    assert (first.json, again.json) == (STREAM | {"stream_options": {"include_usage": True}}, STREAM)
    assert seen.body == again.reply
    assert await scene.settled() > 0
    assert {share.label for share in await scene.shares("source")} == {Source.ESTIMATED}


async def test_the_next_calls_go_right_at_once(open_scene):
    scene = await open_scene(REFUSES)
    for requests in (2, 3, 4):
        assert (await ask(scene, "chat-stream")).status == 200
        assert len(scene.provider.requests) == requests
    assert "stream_options" not in scene.provider.requests[-1].json


async def test_what_is_known_of_one_model_says_nothing_of_another(open_scene):
    scene = await open_scene(REFUSES)
    await ask(scene, "chat-stream")
    await post(scene, PATH, STREAM | {"model": "other"})
    assert ["stream_options" in each.json for each in scene.provider.requests] == [True, False, True, False]


async def test_a_lowered_ceiling_stays_lowered(open_scene):
    scene = await open_scene(REFUSES, limit=120)
    seen = await ask(scene, "chat-stream")
    lowered = int(seen.headers["x-kvot-output-tokens-max"])
    assert [each.json["max_completion_tokens"] for each in scene.provider.requests] == [lowered, lowered]


async def test_a_client_that_asked_for_it_itself_is_told_of_the_refusal(open_scene):
    scene = await open_scene(REFUSES)
    seen = await post(scene, PATH, STREAM | {"stream_options": {"include_usage": True}})
    assert (seen.status, len(scene.provider.requests), await scene.settled()) == (400, 1, 0)


async def test_another_refusal_passes_at_once(open_scene):
    scene = await open_scene(Script(status=400))
    assert (await ask(scene, "chat-stream")).status == 400
    assert (len(scene.provider.requests), await scene.settled()) == (1, 0)


async def test_a_call_that_is_refused_either_way_teaches_nothing(open_scene):
    scene = await open_scene(REFUSES, Script(status=400), Script())
    refused, answered = await ask(scene, "chat-stream"), await ask(scene, "chat-stream")
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


@pytest.mark.parametrize(
    ("status", "body", "refused"), [(400, b"x stream_options", True), (401, b"stream_options", False)]
)
def test_only_a_refusal_that_names_it_is_of_it(status, body, refused):
    assert refuses_usage(ENDPOINT, status, body) is refused
    assert not refuses_usage(COMPATIBLE.find("POST", "/responses", {}).endpoint, status, body)


async def test_a_client_that_leaves_before_it_is_sent_again_is_charged_nothing(open_scene, monkeypatch):
    scene, reaching = await open_scene(REFUSES), asyncio.Event()
    send, sent = ForwardUpstream.send, iter([True, False])

    async def reaches_once(upstream: ForwardUpstream, *values: Any) -> UpstreamReply:
        if not next(sent):
            reaching.set()
            await asyncio.Event().wait()  # a connection that is not made
        return await send(upstream, *values)

    monkeypatch.setattr(ForwardUpstream, "send", reaches_once)
    client = asyncio.create_task(ask(scene, "chat-stream"))
    await reaching.wait()
    client.cancel()
    assert await scene.settled() == 0
