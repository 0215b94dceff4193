"""Made-up recordings of Anthropic's streams: what each is charged, and that no cut changes it or a byte of it."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.tokens import Reported
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut, passed
from tests.gateway.recorded import final, meter_for, part, recorded

STREAMS = recorded("anthropic", "sse")
LINE_ENDS = [b"\n", b"\r\n", b"\r"]
QUOTED = '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":999}}'


class Case(NamedTuple):
    reported: Reported | None
    output: str
    has_failed: bool = False


CASES = {
    "message": Case(final(50, 4000, 1000, 42), "Grüß dich, 世界 👋🏽"),
    "thinking_and_tool": Case(final(70, 0, 0, 35, 25), 'Hm.{"city":"Malmö"}'),
    "input_rises": Case(final(900, 4500, 0, 80), "Found"),
    "iterations": Case(final(20 + 180 + 823, 7, 9, 10 + 35 + 500), "On"),
    "quoting_usage": Case(final(50, 0, 0, 42), QUOTED + "data: " + QUOTED + "\n\n"),
    "error_after_deltas": Case(part(50, 0, 0, 1), "Half", has_failed=True),
    "error_alone": Case(None, "", has_failed=True),
    "cut": Case(part(50, 4000, 0, 1), "Half" + '{"type":"conte'),
    "cut_before_stop": Case(final(50, 0, 0, 42), "All"),
    "absurd_usage": Case(part(50, 0, 0, 1), "Hi"),
}


def meter():
    return meter_for("anthropic", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": []}, "text/event-stream")


def test_every_recorded_stream_has_its_case():
    assert STREAMS.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_stream_is_metered_by_its_own_figures_alone(name: str, end: bytes):
    got = passed(meter(), [STREAMS[name].replace(b"\n", end)])
    case = CASES[name]
    assert (got.reported, got.output_bytes, got.has_failed) == (
        case.reported,
        len(case.output.encode()),
        case.has_failed,
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("end", LINE_ENDS)
def test_every_single_cut_meters_alike_and_delays_no_byte(name: str, end: bytes):
    stream = STREAMS[name].replace(b"\n", end)
    whole = passed(meter(), [stream])
    assert whole.sent == stream
    for pieces in [*every_single_cut(stream), byte_by_byte(stream)]:
        assert passed(meter(), pieces) == whole


@given(st.sampled_from(sorted(CASES)), st.sampled_from(LINE_ENDS), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cuts_meter_alike(name: str, end: bytes, places: list[int]):
    stream = STREAMS[name].replace(b"\n", end)
    assert passed(meter(), cut(stream, places)) == passed(meter(), [stream])


def test_the_reply_names_its_model_and_its_id():
    got = passed(meter(), [STREAMS["message"]])
    assert (got.model, got.request_id) == ("claude-x", "msg_1")


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_pass_as_they_are(pieces: list[bytes]):
    assert passed(meter(), pieces).sent == b"".join(pieces)
