"""What a client is told whose company's budget does not hold its call: how it stands, and when to ask again."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kvot.core.model import NewEvent
from kvot.core.window import MS_PER_DAY
from tests.gateway.calls import CALLS, ask
from tests.gateway.conftest import COMPANY

LIMIT = 300
SPENT = 250
WINDOW_MS = 30 * MS_PER_DAY
BACK_AFTER_MS = 12_345_001
BACK_AFTER_S = 12_346  # whole seconds, never too early
EACH = [call for call in CALLS if not call.endswith("-stream")]


async def spent(open_scene: Any, monkeypatch: Any, **settings: Any) -> Any:
    """A scene whose clock stands still, and whose budget is spent by what leaves the window after a while."""
    scene = await open_scene(limit=LIMIT, clamp="off", **settings)
    ledger = scene.house.services.ledger
    now_ms = -(-ledger.now_ms() // 1_000) * 1_000
    monkeypatch.setattr(ledger, "_clock", lambda: now_ms)
    await ledger.record(COMPANY, NewEvent("spent", SPENT, now_ms - WINDOW_MS + BACK_AFTER_MS))
    return scene


@pytest.mark.parametrize("call", EACH)
async def test_it_is_told_to_the_second_when_the_tokens_are_back(open_scene, monkeypatch, call):
    scene = await spent(open_scene, monkeypatch)
    seen = await ask(scene, call)
    assert (seen.status, seen.headers["retry-after"], len(scene.provider.requests)) == (429, str(BACK_AFTER_S), 0)
    assert "retry-after-ms" not in seen.headers
    assert seen.headers["ratelimit"] == f'"budget";r={LIMIT - SPENT};t={BACK_AFTER_S}'
    assert seen.headers["ratelimit-policy"] == f'"budget";q={LIMIT};w=2592000;kvot-unit="tokens"'
    assert json.loads(seen.body)["kvot"]["resetsAt"] == at(scene, BACK_AFTER_MS, "milliseconds")


async def test_geminis_clients_find_the_wait_in_the_body(open_scene, monkeypatch):
    seen = await ask(await spent(open_scene, monkeypatch), "gemini")
    details = {each["@type"].rpartition(".")[2]: each for each in json.loads(seen.body)["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == f"{BACK_AFTER_S}s"


def openais(scene: Any) -> dict[str, str]:
    return {
        "x-ratelimit-limit-tokens": str(LIMIT),
        "x-ratelimit-remaining-tokens": str(LIMIT - SPENT),
        "x-ratelimit-reset-tokens": "720h0m0s",
    }


def anthropics(scene: Any) -> dict[str, str]:
    return {
        "anthropic-ratelimit-tokens-limit": str(LIMIT),
        "anthropic-ratelimit-tokens-remaining": str(LIMIT - SPENT),
        "anthropic-ratelimit-tokens-reset": at(scene, WINDOW_MS, "seconds"),
    }


def none(scene: Any) -> dict[str, str]:
    return {}


FAMILIES = {"chat": openais, "responses": openais, "messages": anthropics, "gemini": none, "ollama": none}


@pytest.mark.parametrize("call", FAMILIES)
@pytest.mark.parametrize("status", ["429", "402"])
async def test_it_has_the_apis_own_family_of_headers_with_our_figures(open_scene, monkeypatch, call, status):
    scene = await spent(open_scene, monkeypatch, exhausted_status=status)
    seen = await ask(scene, call)
    assert seen.status == int(status)
    assert {name: value for name, value in seen.headers.items() if "-ratelimit-" in name} == FAMILIES[call](scene)


def at(scene: Any, after_ms: int, precision: str) -> str:
    """The instant so long after the scene's."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=scene.house.services.ledger.now_ms() + after_ms)
    return instant.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
