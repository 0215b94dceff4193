"""Bad replies: an error in the dialect's own shape, or the bytes as they are; and the ledger right."""

import asyncio
from typing import Any

import pytest

from kvot.core.model import Source
from tests.gateway.calls import CALLS, ask, is_stream, post, text_of
from tests.gateway.recorded import STREAMS
from tests.gateway.test_fail_closed import ONE_OF_EACH, words
from tests.gateway.test_faults import BROKEN, HARMLESS, HELD_MOST, NO_REPLY
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
