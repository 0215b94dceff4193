"""Streams as providers send them, over real sockets through the served gateway: each is metered as billed.

The gateway's test vectors, by their numbers. Of the others 7 and 8 are in test_faults.py, 9 in test_repeats.py and
clients/test_every_client.py, 10 in test_stored.py and test_openai_asks.py.
"""

from typing import Any

import pytest

from kvot.core.model import Source
from tests.gateway.calls import CALLS, ask, post, text_of
from tests.gateway.cuts import cut
from tests.gateway.recorded import STREAMS
from tests.gateway.test_faults import HELD_MOST
from tests.gateway.test_metrics import value
from tests.provider import Fault, Provider, Script


def stream(path: str) -> bytes:
    return (STREAMS / path).read_bytes()


async def metered(scene: Any, call: str) -> tuple[int, set[str | None]]:
    """What a call was charged, and on whose word. Its bytes must have come through."""
    seen = await ask(scene, call)
    assert seen.status == 200
    assert seen.body == text_of(call, scene.provider.requests[-1])
    return await scene.settled(), {share.label for share in await scene.shares("source")}


@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("within", [b"ta: {", "ü".encode()[1:], b'okens":1500'], ids=["data:", "character", "usage"])
async def test_1_any_line_end_and_a_cut_at_any_place(open_scene, end, within):
    whole = stream("openai/chat.sse").replace(b"\n", end)
    place = whole.rindex(within)
    scene = await open_scene(Script(recorded=tuple(cut(whole, [place]))))
    assert await metered(scene, "chat-stream") == (1_500, {Source.REPORTED})


@pytest.mark.parametrize(
    ("call", "path", "tokens"),
    [
        ("messages-stream", "anthropic/quoting_usage.sse", 50 + 42),
        ("gemini-stream", "gemini/quoting_usage.sse", 5 + 9),
        ("gemini-array-stream", "gemini/quoting_usage.json", 5 + 9),
        ("ollama-stream", "ollama/quoting_usage.ndjson", 11 + 18),
        ("responses-stream", "openai/response.sse", 1_200 + 300),
    ],
)
async def test_2_a_usage_that_an_answer_quotes_is_none(open_scene, call, path, tokens):
    scene = await open_scene(Script(recorded=(stream(path),)))
    assert b"999" in stream(path)
    assert await metered(scene, call) == (tokens, {Source.REPORTED})


@pytest.mark.parametrize("name", ["chat_quoting_usage", "chat_without_usage"])
@pytest.mark.parametrize("missing", [b"", b',"usage":null'])
async def test_2_and_3_where_there_is_no_other_or_null_or_none_it_is_estimated(open_scene, name, missing):
    scene = await open_scene(Script(recorded=(stream(f"openai/{name}.sse").replace(missing, b""),)))
    tokens, sources = await metered(scene, "chat-stream")
    assert (sources, 20 < tokens <= HELD_MOST) == ({Source.ESTIMATED}, True)


@pytest.mark.parametrize(
    ("call", "path", "tokens", "source"),
    [
        pytest.param("chat-stream", "openai/vllm_usage_in_every_chunk.sse", 7 + 4, Source.REPORTED, id="3"),
        pytest.param("messages-stream", "anthropic/input_rises.sse", 900 + 4_500 + 80, Source.REPORTED, id="4"),
        pytest.param("messages-stream", "anthropic/error_after_deltas.sse", 50 + 2, Source.PARTIAL, id="4, error"),
        pytest.param("gemini-array-stream", "gemini/text.json", 5 + 2, Source.REPORTED, id="5"),
        pytest.param(
            "gemini-array-stream", "gemini/everything.json", 240 + 1_000 + 80 + 150, Source.REPORTED, id="5, all"
        ),
    ],
)
async def test_3_to_5_the_last_figures_count(open_scene, call, path, tokens, source):
    scene = await open_scene(Script(recorded=(stream(path),)))
    assert await metered(scene, call) == (tokens, {source})


@pytest.mark.parametrize(
    ("fault", "source"),
    [
        pytest.param(Fault.NONE, Source.ESTIMATED, id="ended well"),
        pytest.param(Fault.DROP_AFTER_BYTES, Source.PARTIAL, id="broken off"),
    ],
)
async def test_6_what_was_cut_before_it_was_done_is_estimated(open_scene, fault, source):
    recorded = stream("ollama/cut.ndjson")
    scene = await open_scene(Script(recorded=(recorded,), fault=fault, after_bytes=len(recorded)))
    tokens, sources = await metered(scene, "ollama-stream")
    assert (sources, 20 < tokens <= HELD_MOST) == ({source}, True)


@pytest.mark.parametrize(
    ("dialect", "total", "mismatches"),
    [("xai", b"135", 0), ("compatible", b"135", 0), ("xai", b"35", 1), ("xai", b"99", 1)],
)
async def test_11_the_reasoning_beside_xais_output_is_charged_and_another_total_is_flagged(
    open_scene, dialect, total, mismatches
):
    recorded = stream("openai/xai.sse").replace(b'"total_tokens":135', b'"total_tokens":' + total)
    async with Provider(Script(recorded=(recorded,))) as provider:
        table = {"dialect": dialect, "base_url": provider.url + "/v1", "api_key": "sk-x"}
        scene = await open_scene(providers={"x": table})
        await post(scene, "/x/v1/chat/completions", CALLS["chat-stream"][1])
        assert await scene.settled() == 30 + 5 + 100
        assert await value(scene, "kvot_mismatched_calls_total", provider="x") == mismatches


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ("chat-stream", "openai/error_alone.sse"),
        ("messages-stream", "anthropic/error_alone.sse"),
        ("gemini-stream", "gemini/error_alone.sse"),
        ("gemini-array-stream", "gemini/error_alone.json"),
        ("ollama-stream", "ollama/error_alone.ndjson"),
    ],
)
async def test_12_an_error_with_200_and_nothing_else_costs_nothing(open_scene, call, path):
    scene = await open_scene(Script(recorded=(stream(path),)))
    assert await metered(scene, call) == (0, set())
