"""Totals that are not the sum of their parts: the parts are charged, the call is counted, and the log has one line. An
output far above what was held for it: it is charged, and the log has one line."""

import pytest
from structlog.testing import capture_logs

from kvot.core.model import Source
from tests.gateway import calls
from tests.gateway.calls import TEXT, ask
from tests.gateway.conftest import COMPANY
from tests.gateway.test_metrics import value
from tests.provider import Fault, Script

CONTRADICTORY = Script(fault=Fault.USAGE_CONTRADICTORY, text="zq-said-by-the-model ", cached_tokens=4)
SUM = 21
CALLS = [
    ("chat", "openai", "chat"),
    ("chat-stream", "openai", "chat"),
    ("responses-stream", "openai", "responses"),
    ("gemini", "gemini", "generate_content"),
    ("gemini-array-stream", "gemini", "stream_generate_content"),
]


@pytest.mark.parametrize(("call", "provider", "endpoint"), CALLS)
async def test_it_is_counted_where_it_came_from_and_charged_by_its_parts(open_scene, call, provider, endpoint):
    scene = await open_scene(CONTRADICTORY)
    for _ in range(2):
        await ask(scene, call)
    assert await scene.settled() == 2 * SUM
    assert [share.label for share in await scene.shares("source")] == [Source.REPORTED]
    labels = {"provider": provider, "endpoint": endpoint}
    assert await value(scene, "kvot_mismatched_calls_total", **labels) == 2


@pytest.mark.parametrize(("call", "provider", "endpoint"), CALLS)
async def test_one_line_names_call_and_figures_and_nothing_that_was_said(open_scene, call, provider, endpoint):
    scene = await open_scene(CONTRADICTORY)
    with capture_logs() as lines:
        await ask(scene, call)
    (line,) = lines
    assert not [word for word in (TEXT, CONTRADICTORY.text, scene.key, "sk-") if word in repr(line)]
    hold = line.pop("hold")
    assert (await scene.house.services.ledger.hold(COMPANY, hold)).hold.actual == SUM
    assert line == {
        **{"event": "usage total mismatch", "log_level": "warning", "room": "kvot.gateway"},
        **{"provider": provider, "endpoint": endpoint, "model": "m", "company": COMPANY},
        **{"total": 1_021, "sum": SUM, "is_final": True},
        **{"input_uncached": 5, "cache_read": 4, "cache_write": 0, "output_visible": 12, "output_reasoning": 0},
    }


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.USAGE_MISSING, Fault.USAGE_NEGATIVE])
async def test_figures_that_agree_or_that_cannot_be_true_are_no_mismatch(open_scene, fault):
    scene = await open_scene(Script(fault=fault))
    with capture_logs() as lines:
        await ask(scene, "chat")
    assert await value(scene, "kvot_mismatched_calls_total") == 0
    assert lines == []


CEILING = 100
EXCESSIVE = Script(output_tokens=10**9, obeys_ceiling=False, text="zq-said-by-the-model ")


@pytest.mark.parametrize(("call", "provider", "endpoint"), CALLS)
async def test_an_output_far_above_what_was_held_is_charged_and_one_line_says_so(open_scene, call, provider, endpoint):
    scene = await open_scene(EXCESSIVE)
    with capture_logs() as lines:
        await ask(scene, call)
    assert await scene.settled() == 9 + 10**9
    (line,) = lines
    assert not [word for word in (TEXT, EXCESSIVE.text, scene.key, "sk-") if word in repr(line)]
    held = (await scene.house.services.ledger.hold(COMPANY, line.pop("hold"))).hold
    assert (held.actual, line.pop("held")) == (9 + 10**9, held.amount)
    assert line == {
        **{"event": "usage far above its hold", "log_level": "warning", "room": "kvot.gateway"},
        **{"provider": provider, "endpoint": endpoint, "model": "m", "company": COMPANY},
        **{"held_output": CEILING, "is_final": True},
        **{"input_uncached": 9, "cache_read": 0, "cache_write": 0, "output_visible": 10**9, "output_reasoning": 0},
    }


async def test_an_image_that_a_tool_made_is_no_output_far_above_what_was_held(open_scene):
    scene = await open_scene(Script(output_tokens=CEILING + 6_240, obeys_ceiling=False))
    path, body = calls.CALLS["responses"]
    with capture_logs() as lines:
        await calls.post(scene, path, body | {"max_output_tokens": CEILING, "tools": [{"type": "image_generation"}]})
    assert await scene.settled() == 9 + CEILING + 6_240
    assert not lines


@pytest.mark.parametrize(("output", "is_flagged"), [(CEILING, False), (10 * CEILING, False), (10 * CEILING + 1, True)])
async def test_some_times_as_much_is_overshoot_and_no_more(open_scene, output, is_flagged):
    scene = await open_scene(Script(output_tokens=output, obeys_ceiling=False))
    with capture_logs() as lines:
        await ask(scene, "chat")
    assert await scene.settled() == 9 + output
    assert [line["event"] for line in lines] == ["usage far above its hold"] * is_flagged
