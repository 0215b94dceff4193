"""What a client is told whose company's budget does not hold its call: how it stands, and when to ask again."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kvot.core.model import NewEvent, Usage
from kvot.core.window import MS_PER_DAY
from kvot.gateway.dialect import Limits
from kvot.gateway.exhausted import message_of
from kvot.gateway.holding import Exhausted
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
    scene = await open_scene(**{"limit": LIMIT, "clamp": "off"} | settings)
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


MIN, H, D = 60_000, 3_600_000, MS_PER_DAY

WHOSE = "The company's token budget does not hold this call of its assistant: it asks for up to"
LEFT = "and 5 of 200 are left (195 used, 0 held by calls under way)."
OPEN_HOLDS = {"tokens_used": 20, "tokens_held": 175, "fits_after_ms": 31 * D, "soon_ms": 700}
# What differs of limits, amount and output_fits, and the end of the message.
ENDS: list[tuple[dict[str, Any], int, int | None, str]] = [
    (
        {},
        54,
        None,
        "147 tokens (54 with the shortest answer), "
        + LEFT
        + " The shortest answer fits in 3 h 20 min if nothing else is used; "
        "whoever runs the gateway can raise the budget.",
    ),
    (
        {},
        147,
        None,
        "147 tokens, "
        + LEFT
        + " It fits in 3 h 20 min if nothing else is used; whoever runs the gateway can raise the budget.",
    ),
    (
        {"fits_after_ms": None},
        147,
        None,
        "147 tokens, " + LEFT + " Waiting does not help: whoever runs the gateway can raise the budget.",
    ),
    (
        OPEN_HOLDS,
        147,
        None,
        "(20 used, 175 held by calls under way)."
        " Only calls under way are in its way: it will fit soon, once enough of them have ended.",
    ),
    (
        {},
        147,
        3,
        "(195 used, 0 held by calls under way). It names no ceiling for its answer, so as much is needed as any "
        "may have: with one (max_tokens, as most APIs call it) of at most 3 it would fit.",
    ),
]


@pytest.mark.parametrize(("limits", "amount", "output_fits", "end"), ENDS)
def test_people_are_told_whose_budget_it_is_what_was_asked_for_and_what_helps(limits, amount, output_fits, end):
    usage = Usage(COMPANY, 0, WINDOW_MS, 195, 0, 200)
    stands = Limits(0, 200, 195, 0, WINDOW_MS, 3 * H + 20 * MIN)._replace(**limits)
    message = message_of(Exhausted(147, amount, usage, stands, output_fits))
    assert message.startswith(WHOSE)
    assert message.endswith(end)


async def test_of_a_call_that_may_be_shortened_both_amounts_are_told_and_when_the_shorter_fits(open_scene, monkeypatch):
    scene = await spent(open_scene, monkeypatch, clamp="on")
    seen = await ask(scene, "chat")
    message = json.loads(seen.body)["error"]["message"]
    told = re.search(r"up to (\d+) tokens \((\d+) with the shortest answer\), and 50 of 300 are left", message)
    assert told
    assert int(told[1]) - int(told[2]) == 100 - 16  # the ceilings of the request, and of the settings
    assert "The shortest answer fits in 3 h 26 min" in message
    assert seen.headers["retry-after"] == str(BACK_AFTER_S)
