"""The receipt of a call stands with its event, however the call ended, and holds nothing that was said."""

import json
from pathlib import Path
from typing import Any

import pytest

from kvot.core.budget import Rules
from kvot.core.model import Event, Source
from kvot.core.window import INSTANT_MAX
from kvot.stores.sqlite.archive import SqliteSource
from tests.gateway.calls import CALLS, TEXT, ask, is_stream
from tests.gateway.conftest import COMPANY, Scene
from tests.provider import Fault, Script

SAID = Script(text="zq-said-by-the-model ", cached_tokens=4, model="served-1")
ENDPOINTS = {
    "gemini": "generate_content",
    "gemini-stream": "stream_generate_content",
    "gemini-array-stream": "stream_generate_content",
    "ollama": "chat",
    "ollama-stream": "chat",
    "ollama-text": "generate",
    "ollama-text-stream": "generate",
}
FINISHED = {"chat": "stop", "responses": "completed", "messages": "end_turn", "gemini": "STOP", "ollama": "stop"}


async def latest(scene: Scene, folder: Path) -> Event:
    await scene.settled()
    source = SqliteSource.open(folder / "kvot.db", Rules())
    try:
        (event,) = await source.latest(COMPANY, since_ms=1, until_ms=INSTANT_MAX, events_max=1, now_ms=1)
    finally:
        await source.close()
    return event


def receipt_of(event: Event) -> dict[str, Any]:
    assert event.receipt is not None
    assert not [word for word in (TEXT, "zq-said", "Say hello", "sk-") if word in event.receipt]
    receipt: dict[str, Any] = json.loads(event.receipt)
    return receipt


@pytest.mark.parametrize("call", CALLS)
async def test_of_a_call_that_was_answered(open_scene, tmp_path: Path, call: str):
    scene = await open_scene(SAID)
    await ask(scene, call)
    event = await latest(scene, tmp_path)
    receipt = receipt_of(event)
    assert (event.source, event.detail.model, event.tokens) == (Source.REPORTED, "m", 21)
    assert receipt["endpoint"] == ENDPOINTS.get(call, call.removesuffix("-stream"))
    assert (receipt["model_served"], receipt["finish"]) == ("served-1", FINISHED[call.split("-", maxsplit=1)[0]])
    assert 12 in receipt["raw_usage"].values()
    assert "total_mismatch" not in receipt


@pytest.mark.parametrize("call", ["chat", "gemini-stream"])
async def test_a_total_that_is_not_the_sum_stands_beside_the_parts(open_scene, tmp_path: Path, call: str):
    scene = await open_scene(Script(fault=Fault.USAGE_CONTRADICTORY))
    await ask(scene, call)
    event = await latest(scene, tmp_path)
    receipt = receipt_of(event)
    assert (event.tokens, receipt["total_mismatch"]) == (21, 1_021)
    assert 1_021 in receipt["raw_usage"].values()


@pytest.mark.parametrize("call", [call for call in CALLS if is_stream(call)])
async def test_of_a_stream_that_broke_off_it_has_what_was_told_by_then(open_scene, tmp_path: Path, call: str):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE, text=SAID.text))
    await ask(scene, call)
    event = await latest(scene, tmp_path)
    assert event.source in (Source.PARTIAL, Source.ESTIMATED)
    receipt = receipt_of(event)
    assert receipt["endpoint"] == ENDPOINTS.get(call, call.removesuffix("-stream"))
    assert 12 not in receipt.get("raw_usage", {}).values(), "the output was not told yet"


async def test_a_call_that_was_refused_leaves_none(open_scene, tmp_path: Path):
    scene = await open_scene(Script(status=400))
    await ask(scene, "chat")
    await scene.settled()
    source = SqliteSource.open(tmp_path / "kvot.db", Rules())
    assert await source.latest(COMPANY, since_ms=1, until_ms=INSTANT_MAX, events_max=1, now_ms=1) == []
    await source.close()


async def test_whoever_wants_none_gets_none(open_scene, tmp_path: Path):
    scene = await open_scene(SAID, receipts="off")
    await ask(scene, "chat")
    assert (await latest(scene, tmp_path)).receipt is None
