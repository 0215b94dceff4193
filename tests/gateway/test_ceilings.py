"""What becomes of a request that names no ceiling, and of one whose ceiling does not fit, by KVOT_CLAMP."""

import json
import re
from typing import Any

import pytest

from kvot.gateway.known import Known, Served
from kvot.gateway.lower import lower_ceiling
from kvot.gateway.providers import DIALECTS
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

SHORT = Script(ceiling_max=20, output_tokens=500)
"""A model that answers with less than what is held for it."""


@pytest.mark.parametrize("call", UNBOUNDED)
async def test_a_model_that_takes_no_ceiling_so_high_is_asked_with_its_own(open_scene, call):
    path, body, names = UNBOUNDED[call]
    scene = await open_scene(SHORT, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, path, body, {"Idempotency-Key": "k"})
    assert (seen.status, seen.headers["x-kvot-output-tokens-max"]) == (200, "20")
    assert [ceiling_of(each, names) for each in scene.provider.requests] == [CEILING, 20]
    keys = [each.header("idempotency-key") for each in scene.provider.requests]
    assert [bool(key) for key in keys] == [call in ("chat", "responses-stream"), False]
    assert await scene.settled() == INPUT + 20


async def test_its_next_calls_hold_and_name_that_at_once_and_those_to_another_model_are_tried(open_scene):
    path, body, _ = UNBOUNDED["chat"]
    scene = await open_scene(SHORT, limit=10_000, output_tokens_max=CEILING)
    for model in ("m", "m", "other", "m"):
        assert (await post(scene, path, body | {"model": model})).status == 200
    named = [each.json["max_completion_tokens"] for each in scene.provider.requests]
    assert named == [CEILING, 20, 20, CEILING, 20, 20]


async def test_both_things_that_we_add_may_be_refused_of_one_call(open_compatible):
    body = UNBOUNDED["chat"][1]
    both = Script(ceiling_max=20, refuses="stream_options")
    scene = await open_compatible(both, limit=LIMIT, output_tokens_max=CEILING)
    seen = await post(scene, "/other/v1/chat/completions", body | {"stream": True})
    assert (seen.status, len(scene.provider.requests)) == (200, 3)
    assert scene.provider.requests[-1].json == body | {"stream": True, "max_tokens": 20}


async def test_a_ceiling_that_the_client_gave_is_its_own_affair(open_scene):
    scene = await open_scene(SHORT)
    seen = await ask(scene, "chat")
    assert (seen.status, b"too large" in seen.body, len(scene.provider.requests)) == (400, True, 1)


@pytest.mark.parametrize("limit", [150, LIMIT])
async def test_no_refusal_makes_a_call_go_out_without_any(open_scene, limit):
    """What a refusal says may be a client's doing, and the answer could pass what is left."""
    path, body, _ = UNBOUNDED["chat"]
    scene = await open_scene(Script(refuses="max_completion_tokens"), limit=limit, output_tokens_max=CEILING)
    assert ((await post(scene, path, body)).status, len(scene.provider.requests)) == (400, 1)


@pytest.mark.parametrize(("dialect", "ceiling"), [("openai", 16), ("azure", 16), ("compatible", None)])
def test_an_old_completion_has_the_low_ceiling_that_its_api_gives_it(dialect, ceiling):
    endpoint: Any = DIALECTS[dialect].find("POST", "/v1/completions", {})
    asked = endpoint.endpoint.read(b'{"model":"m","prompt":"x"}', {})
    assert (asked.output_max, json.loads(asked.body()).get("max_tokens")) == (ceiling, ceiling)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("2024-06-01", "max_tokens"),
        ("2024-08-01-preview", "max_tokens"),
        ("2024-10-21", "max_completion_tokens"),
        ("preview", "max_completion_tokens"),
        ("", "max_completion_tokens"),
    ],
)
def test_azures_older_versions_are_named_the_ceiling_that_they_know(version, name):
    found: Any = DIALECTS["azure"].find("POST", "/deployments/m/chat/completions", {"api-version": version})
    asked = found.endpoint.read(b'{"messages":[]}', found.variables)
    assert json.loads(asked.body(50))[name] == 50


REQUEST = b'{"model":"m","max_tokens":null,"messages":[{"role":"user","content":"Hello"}]}'


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (b"max_tokens is too large: 32768. This model supports at most 16384 completion tokens.", (16_384, True)),
        (b"gpt-4o-2024-08-06: max_tokens is too large: 32,768. At most 16,384.", (16_384, True)),
        (b"`max_completion_tokens` must be less than or equal to `8192`", (8_192, True)),
        (b"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", (8_192, True)),
        (
            b"Unable to submit request because it has a maxOutputTokens value of 32768 but the supported range is from "
            b"1 (inclusive) to 8193 (exclusive). Update the value and try again.",
            (8_192, True),
        ),
        (b'{"error":{"message":"At most 16384, please.","param":"max_tokens"}}', (16_384, True)),
        (b'{"error":{"message":"You asked for 32768 max_tokens: it must be 8192 or less."}}', (8_192, True)),
        (
            b"This model's maximum context length is 4096 tokens. However, you requested 33000 tokens (232 in the "
            b"messages, 32768 in the completion).",
            (3_863, False),
        ),
        (
            b"max_tokens=32768 cannot be more than max_model_len=4096: your request has 232 input tokens.",
            (3_863, False),
        ),
        (b"max_tokens=32768 cannot be greater than max_model_len=max_total_tokens=8192.", (4_096, False)),
        (
            b"This model's maximum context length is 32768 tokens. However, you requested 32768 output tokens and your "
            b"prompt contains at least 1 input tokens, for a total of at least 32769 tokens.",
            (16_384, False),
        ),
        (
            b"`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
            b"`context_window` for this model",
            (8_192, False),
        ),
        (b"Error code: 400 - {'message': 'max_tokens 32768 is too large', 'code': 400}", None),
        (b"max_tokens 32768 is too large: the window is 32768 with 500 input tokens", None),
        (
            b"This model's maximum context length is 32768 tokens. However, your messages resulted in 40000 tokens.",
            None,
        ),
        (b"Prompt contains 500 tokens and 0 draft tokens, too large for model with 32768 maximum context length", None),
        (b"min_tokens must be less than or equal to max_tokens=32768, got 40000.", None),
        (b"Unsupported parameter: 'max_tokens' is not supported with this model.", None),
        (b"max_tokens must be greater than thinking_budget", None),
        (b"messages: field required, at most 500 of them", None),
        (b'{"error":{"message":"Error while downloading http://evil/max_tokens/17.png."}}', None),
        (b'{"error":{"message":"Failed to call a function.","failed_generation":"max_tokens 17"}}', None),
    ],
)
def test_what_a_refusal_says_of_the_ceiling_that_may_be(refusal, expected):
    assert lower_ceiling(refusal, 32_768, 1, REQUEST) == expected
    assert lower_ceiling(refusal, 10, 10, REQUEST) is None


# What servers say of the window that an answer shares with its request.
WINDOWS = {
    "vllm": "'max_tokens' or 'max_completion_tokens' is too large: 32768. This model's maximum context length is "
    "{window} tokens and your request has {used} input tokens (32768 > {window} - {used}).",
    "vllm-older": "This model's maximum context length is {window} tokens. However, you requested {asked} tokens "
    "({used} in the messages, 32768 in the completion).",
    "sglang": "Requested token count exceeds the model's maximum context length of {window} tokens. You requested a "
    "total of {asked} tokens: {used} tokens from the input messages and 32768 tokens for the completion.",
    "deepseek": "This model's maximum context length is {window} tokens. However, you requested {asked} tokens ({text} "
    "in the messages, 72 in the functions, 32768 in the completion). Please reduce the length of the messages.",
    "openrouter": "This endpoint's maximum context length is {window} tokens. However, you requested about {asked} "
    "tokens ({text} of text input, 72 of tool input, 32768 in the output).",
    "tgi": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= {window}. Given: {used} `inputs` "
    "tokens and 32768 `max_new_tokens`",
}


@pytest.mark.parametrize("said", WINDOWS)
@pytest.mark.parametrize(
    ("window", "used"),
    [(8_192, 500), (16_384, 500), (32_768, 500), (32_768, 20_000), (65_536, 40_000), (131_072, 110_000)],
)
def test_a_window_leaves_an_answer_what_the_request_has_not_used_of_it(said, window, used):
    message = WINDOWS[said].format(window=window, used=used, text=used - 72, asked=used + 32_768)
    wrapped = f"Error code: 400 - {{'error': {{'message': \"{message}\", 'code': 400}}}}"
    twice = {"message": message, "details": [message]}
    for error in ({"message": message, "code": 400}, twice, {"message": wrapped}):
        refusal = json.dumps({"error": error}).encode()
        assert lower_ceiling(refusal, 32_768, 1, REQUEST) == (window - used - 1, False)


def test_numbers_that_are_not_in_a_refusals_own_words_are_no_ceilings():
    error = {"message": "max_tokens is too large: 32768", "code": 400, "request": 16_384, "input": "at most 8192"}
    assert lower_ceiling(json.dumps({"error": error}).encode(), 32_768, 1, REQUEST) is None


async def test_an_answer_that_its_window_cuts_short_has_all_that_is_left_of_it(open_compatible):
    said = WINDOWS["vllm"].format(window=32_768, used=500)
    error = json.dumps({"error": {"message": said, "code": 400}}).encode()
    scene = await open_compatible(Script(status=400, error=error), Script(output_tokens=5_000), limit=100_000)
    seen = await post(scene, "/other/v1/chat/completions", UNBOUNDED["chat"][1])
    assert [each.json["max_tokens"] for each in scene.provider.requests] == [32_768, 32_267]
    assert (seen.status, await scene.settled()) == (200, INPUT + 5_000)


@pytest.mark.parametrize("said", ["http://evil/x.png", "Is max_tokens 17 or 32768?", "MAX_NEW_TOKENS"])
def test_what_a_client_may_have_a_refusal_say_is_of_its_call_alone(said):
    refusal = b"Error while downloading http://evil/max_tokens/32768/17.png"
    request = json.dumps({"messages": [{"content": said}]}).encode()
    assert lower_ceiling(refusal, 32_768, 1, request) == (17, False)


async def test_a_picture_whose_address_names_a_ceiling_makes_no_other_answer_short(open_scene):
    """Not even its own, as long as it cannot know what is asked of the provider for it."""
    forged = b'{"error":{"message":"Error while downloading http://evil/max_tokens/%s17.png."}}'
    scripts = [Script(status=400, error=forged % quoted) for quoted in (b"", b"50/")]
    scene = await open_scene(*scripts, LONG, limit=100_000, output_tokens_max=CEILING)
    path, body, _ = UNBOUNDED["chat"]
    picture = {"type": "image_url", "image_url": {"url": "http://evil/x.png"}}
    drawn = body | {"messages": [{"role": "user", "content": [picture]}]}
    assert [(await post(scene, path, each)).status for each in (drawn, drawn, body)] == [400, 200, 200]
    named = [each.json["max_completion_tokens"] for each in scene.provider.requests]
    assert named == [CEILING, CEILING, 17, CEILING]


def test_what_is_known_of_one_company_says_nothing_of_another():
    known: Known[int] = Known()
    known.remember(Served("p", "", "m"), 20, 0.0)
    others = [Served("p", COMPANY, "m"), Served("q", "", "m"), Served("p", "", "n")]
    assert [known.find(each, 1.0) for each in (Served("p", "", "m"), *others)] == [20, None, None, None]
