"""Bad replies: an error in the dialect's own shape, or the bytes as they are; and the ledger right."""

import asyncio
import json
from typing import Any

import pytest

from kvot.core.model import Source
from tests.gateway.calls import CALLS, ask, is_stream, post, text_of
from tests.gateway.recorded import STREAMS
from tests.gateway.test_fail_closed import ONE_OF_EACH, words
from tests.gateway.test_faults import BROKEN, HARMLESS, HELD_MOST, NO_REPLY
from tests.gateway.test_receipts_kept import latest
from tests.provider import Fault, Script

PLAIN = [call for call in CALLS if not is_stream(call)]
TOKENS = 21


@pytest.mark.parametrize("call", PLAIN)
async def test_an_answer_that_did_not_come_whole_is_an_error_in_the_dialects_words(open_scene, call):
    scene = await open_scene()
    for fault in NO_REPLY | (BROKEN - {Fault.BOMB}):
        scene.provider.script = Script(fault=fault, after_bytes=200)
        seen = await ask(scene, call)
        assert (seen.status, seen.headers["content-type"].partition(";")[0]) == (502, "application/json"), fault
        assert words(call, seen.body), fault


@pytest.mark.parametrize("call", ONE_OF_EACH)
async def test_a_model_that_its_provider_does_not_know_is_the_providers_404(open_scene, call):
    scene = await open_scene(Script(status=404))
    seen = await ask(scene, call)
    assert (seen.status, seen.body) == (404, scene.provider.requests[0].reply)
    assert await scene.settled() == 0


@pytest.mark.parametrize("status", [600, 999])
@pytest.mark.parametrize("path", [*(CALLS[call][0] for call in ONE_OF_EACH), "/openai/v1/models"])
async def test_a_status_that_is_none_is_a_broken_reply(open_scene, path, status):
    scene = await open_scene(Script(status=status))
    body = next((body for each, body in CALLS.values() if each == path), None)
    seen = await post(scene, path, body, verb="GET" if body is None else "POST")
    assert (seen.status, seen.is_whole, await scene.settled()) == (502, True, 0)
    assert b"broke off its reply" in seen.body


HALVES = [
    ("chat-stream", "openai/chat.sse", 1_500),
    ("messages-stream", "anthropic/message.sse", 50 + 4_000 + 1_000 + 42),
    ("gemini-stream", "gemini/text.sse", 5 + 2),
    ("gemini-array-stream", "gemini/text.json", 5 + 2),
    ("ollama-stream", "ollama/chat.ndjson", 11 + 18),
]


@pytest.mark.parametrize(("call", "path", "tokens"), HALVES)
async def test_half_a_character_in_an_answer_passes_and_its_figures_count(open_scene, call, path, tokens):
    whole = (STREAMS / path).read_bytes()
    half = whole.replace("ü".encode(), "ü".encode()[:1])
    assert half != whole
    scene = await open_scene(Script(recorded=(half,)))
    seen = await ask(scene, call)
    assert (seen.status, seen.is_whole) == (200, True)
    assert seen.body == text_of(call, scene.provider.requests[0])
    assert await scene.settled() == tokens


SPOILT = "Once upon a time. " * 4
HAS_IT = {"error": {"message": "See 'failed_generation'.", "failed_generation": SPOILT}}
SAYS_IT = {"error": {"code": 500, "message": f"Failed to parse input at pos 0: {SPOILT}"}}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("status", "error"), [(400, HAS_IT), (500, SAYS_IT)])
async def test_an_answer_that_a_provider_sends_as_its_error_is_charged_as_one_that_broke_off(
    open_scene, tmp_path, call, status, error
):
    body = json.dumps(error).encode()
    scene = await open_scene(Script(status=status, error=body))
    seen = await ask(scene, call)
    assert (seen.status, seen.body, len(scene.provider.requests)) == (status, body, 1)
    charged = (await latest(scene, tmp_path)).detail
    assert ((charged.input_tokens or 0) > 0, charged.output_tokens) == (True, len(SPOILT) // 2)
    assert {share.label for share in await scene.shares("source")} == {Source.PARTIAL}


IN_STREAMS = {
    "chat-stream": "data: %s\n\n",
    "responses-stream": 'data: {"type":"error","error":%s}\n\n',
    "messages-stream": 'event: error\ndata: {"type":"error","error":%s}\n\n',
    "gemini-stream": "data: %s\n\n",
    "gemini-array-stream": "[%s]",
    "ollama-stream": "%s\n",
    "ollama-text-stream": "%s\n",
    "chat": "%s",
    "responses": "%s",
    "messages": '{"type":"error","error":%s}',
    "gemini": "%s",
    "ollama": "%s",
}


@pytest.mark.parametrize("call", IN_STREAMS)
@pytest.mark.parametrize("error", [HAS_IT, SAYS_IT])
async def test_so_is_one_whose_status_is_200(open_scene, tmp_path, call, error):
    scene = await open_scene(Script(recorded=((IN_STREAMS[call] % json.dumps(error)).encode(),)))
    seen = await ask(scene, call)
    assert (seen.status, seen.body) == (200, scene.provider.requests[0].reply)
    assert (await latest(scene, tmp_path)).detail.output_tokens == len(SPOILT) // 2
    assert {share.label for share in await scene.shares("source")} == {Source.PARTIAL}


async def test_it_is_not_asked_for_again_whatever_it_says(open_scene):
    error = {"error": {"message": "max_tokens: 17", "failed_generation": SPOILT}}
    scene = await open_scene(Script(status=400, error=json.dumps(error).encode()))
    unbounded = {name: value for name, value in CALLS["chat"][1].items() if name != "max_completion_tokens"}
    assert (await post(scene, CALLS["chat"][0], unbounded)).status == 400
    assert (len(scene.provider.requests), await scene.settled() > 0) == (1, True)


async def test_it_is_no_answer_and_what_it_was_charged_is_taken_back_with_the_one_that_comes(open_scene):
    spoilt = Script(status=400, error=json.dumps(HAS_IT).encode())
    scene, used = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), spoilt, Script()), []
    for count, status in enumerate((502, 400, 200)):
        assert (await ask(scene, "chat", {"x-stainless-retry-count": str(count)})).status == status
        await scene.app._gateway._gateway._books.settler.finish(within_s=10)
        used.append(await scene.settled())
    assert used[1] > used[0] + len(SPOILT) // 2
    assert await scene.comes_to(TOKENS)


LONG = Script(text="word " * 800, chunks=1, fault=Fault.DROP_AFTER_BYTES, after_bytes=3_000)


@pytest.mark.parametrize("call", [call for call in CALLS if is_stream(call)])
async def test_what_came_of_an_event_that_broke_off_counts(open_scene, call):
    scene = await open_scene(LONG)
    assert not (await ask(scene, call)).is_whole
    assert 100 < await scene.settled() <= HELD_MOST


REPLY_BYTES_MAX = 20_000


@pytest.mark.parametrize("call", CALLS)
async def test_a_reply_without_end_is_cut_and_costs_no_more_than_was_held(open_scene, monkeypatch, call):
    monkeypatch.setattr("kvot.gateway.call.REPLY_BYTES_LEAST", REPLY_BYTES_MAX)
    monkeypatch.setattr("kvot.gateway.call.REPLY_BYTES_PER_TOKEN", 0)
    scene = await open_scene(Script(fault=Fault.ENDLESS))
    seen = await ask(scene, call)
    await scene.provider.requests[0].closed.wait()
    if is_stream(call):
        assert (seen.is_whole, len(seen.body) <= REPLY_BYTES_MAX) == (False, True)
        assert 100 < await scene.settled() <= HELD_MOST
    else:  # white space behind a whole document
        assert (seen.status, await scene.settled()) == (502, TOKENS)


TTL_S = 3


async def test_a_slow_stream_that_outlasts_its_hold_comes_whole_and_is_charged_as_reported(open_scene, monkeypatch):
    pace = asyncio.Semaphore(0)
    scene = await open_scene(Script(pace=pace), hold_ttl_s=TTL_S)
    ledger_type, outlasted, renewals = type(scene.house.services.ledger), asyncio.Event(), [0]
    renew = ledger_type.renew

    async def noted(*arguments: Any) -> Any:
        renewals[0] += 1
        if renewals[0] > 3:
            outlasted.set()
        return await renew(*arguments)

    monkeypatch.setattr(ledger_type, "renew", noted)
    client = asyncio.create_task(ask(scene, "messages-stream"))
    pace.release()
    await outlasted.wait()
    for _ in range(20):
        pace.release()
    assert (await client).is_whole
    assert await scene.settled() == TOKENS
    assert {share.label for share in await scene.shares("source")} == {Source.REPORTED}


EMBEDDINGS: dict[str, tuple[dict[str, Any], int | None]] = {
    "/openai/v1/embeddings": ({"model": "m", "input": "a" * 40}, 9),
    "/ollama/api/embed": ({"model": "m", "input": "a" * 40}, 9),
    "/gemini/v1beta/models/m:embedContent": ({"content": {"parts": [{"text": "a" * 40}]}}, None),
}
EMBEDDING_HELD_MOST = 40 + 32


@pytest.mark.parametrize("path", EMBEDDINGS)
async def test_no_fault_of_an_embedding_leaves_a_hold_or_is_charged_more_than_was_held(open_scene, path):
    """Gemini's have no usage at all."""
    body, tokens = EMBEDDINGS[path]
    scene = await open_scene()
    for fault in set(Fault) - {Fault.HANG, Fault.STALL, Fault.NO_END, Fault.ENDLESS}:
        before = await scene.settled()
        scene.provider.script = Script(fault=fault, after_bytes=20)
        seen = await post(scene, path, body)
        charged = await scene.settled() - before
        assert seen.status in {200, 502}, fault
        costs_nothing = fault in NO_REPLY | {Fault.ERROR_INSIDE, Fault.ERROR_ALONE, Fault.BROKEN_FRAMES}
        assert (0 if costs_nothing else 1) <= charged <= (0 if costs_nothing else EMBEDDING_HELD_MOST), fault
        if tokens and fault in HARMLESS:
            assert charged == tokens, fault
