"""Recorded shapes of streams, made up: what each is charged, what the client gets, that no cut changes either."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvot.gateway.dialect import Ask, Meter
from kvot.gateway.providers import DIALECTS
from kvot.gateway.tokens import Reported, TokenCount
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut, passed

STREAMS = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "streams" / "openai").glob("*.sse")}


def final(
    uncached: int, read: int, write: int, visible: int, reasoning: int, *, mismatch: int | None = None
) -> Reported:
    return Reported(TokenCount(uncached, read, write, visible, reasoning), True, mismatch)


class Case(NamedTuple):
    dialect: str
    path: str
    reported: Reported | None
    output: str
    """The text that was generated, whose bytes are counted."""
    has_failed: bool = False
    answers: int = 1


CHAT, OLD, RESPONSES = "/chat/completions", "/completions", "/responses"
QUOTED = '{"usage":{"input_tokens":999,"output_tokens":999}}'
RESPONSE_TEXT = "ThinkGrüß " + QUOTED + '{"a":1}'
QUOTING_CHUNKS = (
    '"usage":{"prompt_tokens":999,"completion_tokens":999}'
    'data: {"usage":{"prompt_tokens":999,"completion_tokens":999,"total_tokens":1998}}\n\ndata: [DONE]\n\n'
    'call_1functionlog{"usage":{"prompt_tokens":999}}'
)

CASES = {
    "chat": Case("openai", CHAT, final(48, 1024, 128, 120, 180), "Grüß dich, 世界 👋🏽"),
    "chat_without_usage": Case("openai", CHAT, None, "Hi there"),
    "chat_quoting_usage": Case("openai", CHAT, None, QUOTING_CHUNKS),
    "chat_tools": Case("openai", CHAT, final(50, 0, 0, 15, 0), 'call_1functionweather{"city":"Malmö"}'),
    "chat_two_answers": Case("openai", CHAT, final(8, 0, 0, 4, 0), "YesNo", answers=2),
    "vllm_usage_in_every_chunk": Case("compatible", CHAT, final(7, 0, 0, 4, 0), "A b c"),
    "mistral": Case("mistral", CHAT, final(6, 4, 0, 3, 0), "thinkingtextHmOui"),
    "groq": Case("compatible", CHAT, final(18, 0, 0, 2, 0), "Fast"),
    "deepseek": Case("compatible", CHAT, final(36, 64, 0, 8, 12), "Let me think42"),
    "xai": Case("xai", CHAT, final(20, 10, 0, 5, 100), "Sure"),
    "openrouter": Case("compatible", CHAT, final(4, 0, 0, 2, 0), "Hi"),
    "perplexity": Case("perplexity", CHAT, final(12, 0, 0, 502, 80, mismatch=14), "Found it"),
    "error_alone": Case("openai", CHAT, None, "", has_failed=True),
    "error_after_text": Case("openai", CHAT, None, "Half", has_failed=True),
    "completion": Case("openai", OLD, final(5, 0, 0, 2, 0), "Once upon"),
    "response": Case("openai", RESPONSES, final(48, 1024, 128, 120, 180), RESPONSE_TEXT),
    "response_incomplete": Case("openai", RESPONSES, final(48, 1024, 128, 120, 180), RESPONSE_TEXT),
    "response_failed": Case("openai", RESPONSES, final(12, 0, 0, 0, 0), "", has_failed=True),
    "response_error": Case("openai", RESPONSES, None, RESPONSE_TEXT, has_failed=True),
    "response_cut": Case("openai", RESPONSES, None, RESPONSE_TEXT),
}


def meter_for(case: Case, *, asks_usage: bool = False) -> Meter:
    found = DIALECTS[case.dialect].find("POST", case.path, {})
    assert found
    assert found.endpoint.read
    assert found.endpoint.meter
    options = {"stream_options": {"include_usage": True}} if asks_usage else {}
    members = {"model": "m", "stream": True, "n": case.answers, **options}
    ask: Ask = found.endpoint.read(json.dumps(members).encode(), {})
    return found.endpoint.meter(ask, "text/event-stream; charset=utf-8")


def test_every_recorded_stream_has_its_case():
    assert STREAMS.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_is_metered_by_its_own_figures_alone(name: str, end: bytes):
    case = CASES[name]
    got = passed(meter_for(case), [STREAMS[name].replace(b"\n", end)])
    assert got.reported == case.reported
    assert got.output_bytes == len(case.output.encode())
    assert got.has_failed == case.has_failed


@pytest.mark.parametrize("name", CASES)
def test_a_client_that_asked_for_the_usage_gets_every_byte_at_once(name: str):
    meter = meter_for(CASES[name], asks_usage=True)
    assert [meter.feed(piece) for piece in byte_by_byte(STREAMS[name])] == byte_by_byte(STREAMS[name])
    assert meter.finish() == b""


OURS = ["chat", "chat_tools", "chat_two_answers", "completion", "xai"]


@pytest.mark.parametrize("name", sorted({*CASES} - {"vllm_usage_in_every_chunk"}))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_client_that_did_not_gets_all_but_the_chunk_that_we_asked_for(name: str, end: str):
    events = STREAMS[name].decode().split("\n\n")
    if name in OURS:
        assert '"choices":[]' in events[-3]
        del events[-3]
    wanted = "\n\n".join(events).replace("\n", end).encode()
    assert passed(meter_for(CASES[name]), [STREAMS[name].decode().replace("\n", end).encode()]).sent == wanted


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_single_cut_meters_alike_and_passes_the_same_bytes(name: str, end: bytes):
    stream = STREAMS[name].replace(b"\n", end)
    whole = passed(meter_for(CASES[name]), [stream])
    for pieces in [*every_single_cut(stream), byte_by_byte(stream)]:
        assert passed(meter_for(CASES[name]), pieces) == whole


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(CASES)),
    st.booleans(),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_any_cuts_meter_alike_and_pass_the_same_bytes(name: str, asks_usage: bool, end: bytes, places: list[int]):
    stream = STREAMS[name].replace(b"\n", end)
    whole = passed(meter_for(CASES[name], asks_usage=asks_usage), [stream])
    assert passed(meter_for(CASES[name], asks_usage=asks_usage), cut(stream, places)) == whole


@pytest.mark.parametrize(
    ("name", "events", "reported"),
    [
        ("chat", 4, None),
        ("chat", 5, final(48, 1024, 128, 120, 180)),  # all but [DONE]
        ("vllm_usage_in_every_chunk", 2, Reported(TokenCount(7, 0, 0, 1, 0), is_final=False)),
        ("vllm_usage_in_every_chunk", 4, final(7, 0, 0, 3, 0)),
        ("mistral", 2, None),
        ("mistral", 3, final(6, 4, 0, 3, 0)),
        ("perplexity", 1, Reported(TokenCount(12, 0, 0, 1, 0), is_final=False)),
        ("response", 7, None),
        ("response", 8, final(48, 1024, 128, 120, 180)),
    ],
)
def test_a_stream_that_breaks_off_is_final_only_once_nothing_more_would_come(
    name: str, events: int, reported: Reported | None
):
    begun = b"".join(event + b"\n\n" for event in STREAMS[name].split(b"\n\n")[:events])
    assert passed(meter_for(CASES[name]), [begun]).reported == reported


@pytest.mark.parametrize("last", [{"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": -1}, {}])
def test_last_figures_that_cannot_be_true_take_nothing_from_those_before(last: dict[str, int]):
    *begun, done = STREAMS["chat"].removesuffix(b"\n\n").split(b"\n\n")
    spoilt = b"\n\n".join([*begun, b"data: " + json.dumps({"choices": [], "usage": last}).encode(), done, b""])
    meter = meter_for(CASES["chat"])
    passed(meter, [spoilt])
    assert meter.reported == Reported(TokenCount(48, 1024, 128, 120, 180), is_final=False)
    assert meter.is_over


@pytest.mark.parametrize(
    ("name", "events", "is_over"),
    [("chat", 5, False), ("chat", 6, True), ("response", 7, False), ("response", 8, True)],
)
def test_a_stream_is_over_with_its_last_word(name: str, events: int, is_over: bool):
    begun = b"".join(event + b"\n\n" for event in STREAMS[name].split(b"\n\n")[:events])
    assert passed(meter_for(CASES[name]), [begun]).is_over == is_over


def test_a_last_word_without_figures_ends_nothing():
    assert not passed(meter_for(CASES["chat"]), [b"data: [DONE]\n\n"]).is_over


def test_of_two_answers_the_end_of_one_is_not_the_end():
    chunk = (
        b'data: {"choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    )
    two = passed(meter_for(CASES["chat_two_answers"]), [chunk]).reported
    assert two == Reported(TokenCount(1, 0, 0, 2, 0), is_final=False)
    ended = passed(meter_for(CASES["chat_two_answers"]), [chunk, b"data: [DONE]\n\n"]).reported
    assert ended == final(1, 0, 0, 2, 0)


def test_what_could_be_true_is_not_final_where_the_last_usage_cannot():
    figures = [b'{"prompt_tokens":1,"completion_tokens":2}', b"null", b'{"prompt_tokens":-1,"completion_tokens":2}']
    events = [b'data: {"choices":[],"usage":%b}\n\n' % each for each in figures]
    assert passed(meter_for(CASES["chat"]), events[:2]).reported == final(1, 0, 0, 2, 0)
    assert passed(meter_for(CASES["chat"]), events).reported == final(1, 0, 0, 2, 0)._replace(is_final=False)
