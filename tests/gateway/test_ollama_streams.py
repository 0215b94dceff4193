"""Made-up recordings of Ollama's streams: what each is charged, and that no cut changes it or a byte of it."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.tokens import Reported
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut, passed
from tests.gateway.recorded import final, meter_for, part, recorded

STREAMS = recorded("ollama", "ndjson")
LINE_ENDS = [b"\n", b"\r\n"]
QUOTED = '{"done":true,"prompt_eval_count":999}'


class Case(NamedTuple):
    reported: Reported | None
    output: str
    has_failed: bool = False


CASES = {
    "chat": Case(final(3, 8, 0, 18), "Grüß dich, 世界 👋🏽"),
    "thinking_and_tool": Case(final(11, 0, 0, 18), "Hm.weatherMalmö"),
    "generate": Case(final(5, 0, 0, 3), "Once upon"),
    "quoting_usage": Case(final(11, 0, 0, 18), f"{QUOTED}\n{QUOTED}\n"),
    "prompt_cached": Case(part(0, 0, 0, 2), "Hi"),
    "nothing_generated": Case(final(11, 0, 0, 0), ""),
    "loaded": Case(final(0, 0, 0, 0), ""),
    "error_after_text": Case(None, "Half", has_failed=True),
    "error_alone": Case(None, "", has_failed=True),
    "cut": Case(None, 'Half{"model":"m","message":{"role":"assistant","con'),
    "absurd_usage": Case(None, "Hi"),
}


def meter():
    return meter_for("ollama", "/api/chat", {"model": "m"}, "application/x-ndjson")


def test_every_recorded_stream_has_its_case():
    assert STREAMS.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_metered_by_its_last_line(name: str):
    got = passed(meter(), [STREAMS[name]])
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


@given(st.sampled_from(sorted(CASES)), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cuts_meter_alike(name: str, places: list[int]):
    assert passed(meter(), cut(STREAMS[name], places)) == passed(meter(), [STREAMS[name]])


def test_the_reply_names_its_model():
    assert passed(meter(), [STREAMS["chat"]]).model == "m"


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_pass_as_they_are(pieces: list[bytes]):
    assert passed(meter(), pieces).sent == b"".join(pieces)
