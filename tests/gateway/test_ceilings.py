"""What becomes of a request that names no ceiling, and of one whose ceiling does not fit, by KVOT_CLAMP."""

import json
import re
from typing import Any

import pytest

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.model import NewHold
from kvot.gateway.holding import Ceilings, hold
from kvot.gateway.providers import DIALECTS
from kvot.gateway.too_high import is_too_high
from kvot.stores.memory import MemoryStore
from tests.gateway.calls import TEXT, ask, post
from tests.gateway.conftest import COMPANY
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
async def test_no_answer_is_longer_than_what_was_held(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(LONG, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, path, body)
    assert (seen.status, seen.headers["x-kvot-output-tokens-max"]) == (200, str(CEILING))
    assert ceiling_of(scene.provider.requests[0], names) == CEILING
    assert await scene.settled() == INPUT + CEILING


@pytest.mark.parametrize("call", UNBOUNDED)
async def test_where_only_given_ceilings_are_lowered_it_goes_on_as_it_is_and_may_pass_what_was_held(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(LONG, limit=LIMIT, clamp="given", output_tokens_max=CEILING)
    seen = await post(scene, path, body)
    assert "x-kvot-output-tokens-max" not in seen.headers
    assert ceiling_of(scene.provider.requests[0], names) in ({}, -1)
    assert await scene.settled() == INPUT + LONG.output_tokens > LIMIT


@pytest.mark.parametrize("call", ["chat", "messages-stream", "gemini", "ollama"])
async def test_a_ceiling_that_fits_is_left_and_one_that_does_not_is_lowered(open_scene, call):
    scene = await open_scene(LONG, limit=ONE_AND_A_HALF)
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
@pytest.mark.parametrize("clamp", ["off", "given", "on"])
async def test_where_no_ceiling_would_help_none_is_asked_for(open_scene, call, clamp):
    scene = await open_scene(limit=CEILING, clamp=clamp)
    path, body, _ = UNBOUNDED[call]
    seen = await post(scene, path, body)
    assert (seen.status, b"budget does not hold" in seen.body, b"ceiling" in seen.body) == (429, True, False)


async def test_off_refuses_a_ceiling_that_does_not_fit(open_scene):
    scene = await open_scene(LONG, limit=ONE_AND_A_HALF, clamp="off")
    assert [(await ask(scene, "chat")).status for _ in range(2)] == [200, 429]


# -- a ceiling of ours that is more than a model has -----------------------------------------------------------------

SHORT = Script(ceiling_max=20)
"""A model that answers with less than what is held for it."""


@pytest.mark.parametrize("call", UNBOUNDED)
async def test_a_model_that_takes_no_ceiling_so_high_is_asked_without(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(SHORT, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, path, body)
    assert (seen.status, "x-kvot-output-tokens-max" in seen.headers) == (200, False)
    named, plain = scene.provider.requests
    assert ceiling_of(named, names) == CEILING
    assert plain.json == body | ({"stream_options": {"include_usage": True}} if call == "chat-stream" else {})
    assert await scene.settled() == INPUT + SHORT.output_tokens


async def test_the_next_calls_to_it_go_right_at_once_and_those_to_another_are_tried(open_scene):
    path, body, _ = UNBOUNDED["chat"]
    scene = await open_scene(SHORT, limit=10_000, output_tokens_max=CEILING)
    for model in ("m", "m", "other", "m"):
        assert (await post(scene, path, body | {"model": model})).status == 200
    named = ["max_completion_tokens" in each.json for each in scene.provider.requests]
    assert named == [True, False, False, True, False, False]


async def test_both_things_that_we_add_may_be_refused_of_one_call(open_scene):
    path, body, _ = UNBOUNDED["chat"]
    both = Script(ceiling_max=20, refuses="stream_options")
    scene = await open_scene(both, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, path, body | {"stream": True})
    assert (seen.status, len(scene.provider.requests)) == (200, 3)
    assert scene.provider.requests[-1].json == body | {"stream": True}


async def test_a_ceiling_that_the_client_gave_is_its_own_affair(open_scene):
    scene = await open_scene(SHORT)
    seen = await ask(scene, "chat")
    assert (seen.status, b"too large" in seen.body, len(scene.provider.requests)) == (400, True, 1)


@pytest.mark.parametrize(("is_clamped", "status"), [(False, 200), (True, 400)])
async def test_a_provider_that_knows_no_ceiling_is_not_trusted_with_the_rest_of_a_budget(
    open_scene, is_clamped, status
):
    """It would bound nothing, so that the answer could pass what is left."""
    path, body, _ = UNBOUNDED["chat"]
    limit = 100 if is_clamped else LIMIT
    scene = await open_scene(Script(refuses="max_completion_tokens"), limit=limit, output_tokens_max=CEILING)
    assert (await post(scene, path, body)).status == status


@pytest.mark.parametrize(("path", "takes"), [("/v1/chat/completions", True), ("/v1/completions", False)])
async def test_where_the_apis_own_ceiling_is_low_no_higher_one_is_named(path, takes):
    """The old completions end after 16 tokens."""
    openai: Any = DIALECTS["openai"]
    ask = openai.find("POST", path, {}).endpoint.read(b'{"model":"m"}', {})
    ceilings = Ceilings(CEILING, 16, clamps=True, names=True)
    ledger = Ledger(MemoryStore(Rules()), lambda: 1)
    held: Any = await hold(ledger, COMPANY, NewHold("h", 1, 60_000), ask, 1, ceilings)
    assert held.output_max == (CEILING if takes else None)


TOO_LARGE = b"max_tokens is too large: 32768. This model supports at most 16384 completion tokens."


@pytest.mark.parametrize(
    ("status", "refusal", "is_clamped", "expected"),
    [
        (400, TOO_LARGE, False, True),
        (400, TOO_LARGE, True, True),
        (422, b"`max_completion_tokens` must be less than or equal to `8192`", True, True),
        (400, b"maxOutputTokens value of 100000 but the supported range is from 1 to 65537", True, True),
        (400, b"This model's maximum context length is 4096 tokens. However, you requested 33000", True, True),
        (400, b"Unsupported parameter: 'max_tokens' is not supported with this model.", False, True),
        (400, b"Unsupported parameter: 'max_tokens' is not supported with this model.", True, False),
        (400, b"messages: field required", False, False),
        (401, TOO_LARGE, False, False),
        (500, TOO_LARGE, False, False),
    ],
)
def test_which_refusals_are_of_a_ceiling_that_is_too_high(status, refusal, is_clamped, expected):
    assert is_too_high(status, refusal, is_clamped=is_clamped) is expected
