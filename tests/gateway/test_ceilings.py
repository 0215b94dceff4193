"""What becomes of a request that names no ceiling, and of one whose ceiling does not fit, by KVOT_CLAMP."""

import json
import re
from typing import Any

import pytest

from tests.gateway.calls import TEXT, ask, post
from tests.provider import Script

SAID = [{"role": "user", "content": TEXT}]
CEILING = 50
LONG = Script(output_tokens=500)
LIMIT = 300
ONE_AND_A_HALF = 250  # holds two calls in turn, if the second is shorter
INPUT = 9

# Requests that name no ceiling, and where the one that is added to them stands.
UNBOUNDED: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "chat": ("/openai/v1/chat/completions", {"model": "m", "messages": SAID}, ("max_completion_tokens",)),
    "responses-stream": ("/openai/v1/responses", {"model": "m", "input": TEXT, "stream": True}, ("max_output_tokens",)),
    "gemini": (
        "/gemini/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
        ("generationConfig", "maxOutputTokens"),
    ),
    "ollama-stream": ("/ollama/api/chat", {"model": "m", "messages": SAID}, ("options", "num_predict")),
    "ollama-without-bound": (
        "/ollama/api/generate",
        {"model": "m", "prompt": TEXT, "stream": False, "options": {"num_predict": -1}},
        ("options", "num_predict"),
    ),
}


def ceiling_of(received: Any, names: tuple[str, ...]) -> Any:
    value = received.json
    for name in names:
        value = value.get(name, {})
    return value


@pytest.mark.parametrize("call", UNBOUNDED)
async def test_always_no_answer_is_longer_than_what_was_held(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(LONG, limit=LIMIT, clamp="always", output_tokens_max=CEILING)
    seen = await post(scene, path, body)
    assert (seen.status, seen.headers["x-kvot-output-tokens-max"]) == (200, str(CEILING))
    assert ceiling_of(scene.provider.requests[0], names) == CEILING
    assert await scene.settled() == INPUT + CEILING


@pytest.mark.parametrize("call", UNBOUNDED)
async def test_otherwise_it_goes_on_as_it_is_and_may_pass_what_was_held(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(LONG, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, path, body)
    assert "x-kvot-output-tokens-max" not in seen.headers
    assert ceiling_of(scene.provider.requests[0], names) in ({}, -1)
    assert await scene.settled() == INPUT + LONG.output_tokens > LIMIT


@pytest.mark.parametrize("call", ["chat", "messages-stream", "gemini", "ollama"])
async def test_always_leaves_a_ceiling_that_fits_and_lowers_one_that_does_not(open_scene, call):
    scene = await open_scene(LONG, limit=ONE_AND_A_HALF, clamp="always")
    seen = [await ask(scene, call) for _ in range(3)]
    assert [each.status for each in seen] == [200, 200, 429]
    assert "x-kvot-output-tokens-max" not in seen[0].headers
    assert 16 <= int(seen[1].headers["x-kvot-output-tokens-max"]) < 100
    assert await scene.settled() <= ONE_AND_A_HALF


@pytest.mark.parametrize("answers", [1, 2])
async def test_a_request_without_a_ceiling_that_one_would_make_fit_is_told_which(open_scene, answers):
    scene = await open_scene(LONG, limit=LIMIT, clamp="off")
    path, body, _ = UNBOUNDED["chat"]
    body = body | {"n": answers}
    refused = await post(scene, path, body)
    told = re.search(
        r"names no ceiling .* of at most (\d+) it would fit\.", json.loads(refused.body)["error"]["message"]
    )
    assert told
    fits = int(told[1])
    seen = [await post(scene, path, body | {"max_completion_tokens": each}) for each in (fits + 1, fits)]
    assert [refused.status, *(each.status for each in seen)] == [429, 429, 200]
    assert b"names no ceiling" not in seen[0].body


@pytest.mark.parametrize("call", UNBOUNDED)
@pytest.mark.parametrize("clamp", ["off", "on", "always"])
async def test_where_no_ceiling_would_help_none_is_asked_for(open_scene, call, clamp):
    scene = await open_scene(limit=CEILING, clamp=clamp)
    path, body, _ = UNBOUNDED[call]
    seen = await post(scene, path, body)
    assert (seen.status, b"budget does not hold" in seen.body, b"ceiling" in seen.body) == (429, True, False)


async def test_off_refuses_a_ceiling_that_does_not_fit(open_scene):
    scene = await open_scene(LONG, limit=ONE_AND_A_HALF, clamp="off")
    assert [(await ask(scene, "chat")).status for _ in range(2)] == [200, 429]
