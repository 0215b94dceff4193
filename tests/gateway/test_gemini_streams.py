"""Made-up recordings of Gemini's streams, as SSE and as an array: what each is charged, that no cut changes it."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.tokens import Reported
from tests.gateway.cuts import byte_by_byte, cut, every_single_cut, passed
from tests.gateway.recorded import final, meter_for, part, recorded

STREAMS = {"sse": recorded("gemini", "sse"), "json": recorded("gemini", "json")}
QUOTED = '{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":999}}'


class Case(NamedTuple):
    reported: Reported | None
    output: str
    has_failed: bool = False
    answers: int = 1


CASES = {
    "text": Case(final(5, 0, 0, 2), "Grüß dich, 世界 👋🏽"),
    "everything": Case(final(240, 1000, 0, 80, 150), "Hm.weatherMalmöJa"),
    "quoting_usage": Case(final(5, 0, 0, 9), f"{QUOTED}]}},\r\n{QUOTED}]\n\ndata: {QUOTED}\n\n"),
    "blocked": Case(final(8, 0, 0, 0), ""),
    "two_answers_cut": Case(part(5, 0, 0, 2), "JaNe", answers=2),
    "total_mismatch": Case(final(5, 0, 0, 2, mismatch=70), "Ja"),
    "absurd_usage": Case(part(5, 0, 0, 0), "Ja!"),
    "error_after_text": Case(part(5, 0, 0, 0), "Half", has_failed=True),
    "error_alone": Case(None, "", has_failed=True),
}
CUT = {"sse": "Grüß dich, ", "json": 'Grüß dich, {"candidates": [{"con'}


def meter(form: str, answers: int = 1):
    request = {"contents": [], "generationConfig": {"candidateCount": answers}}
    query = {"alt": "sse"} if form == "sse" else {}
    content_type = {"sse": "text/event-stream", "json": "application/json; charset=utf-8"}[form]
    return meter_for("gemini", "/v1beta/models/gemini-x:streamGenerateContent", request, content_type, **query)


@pytest.mark.parametrize("form", STREAMS)
def test_every_recorded_stream_has_its_case(form: str):
    assert STREAMS[form].keys() == {*CASES, "cut"}


@pytest.mark.parametrize("form", STREAMS)
@pytest.mark.parametrize("name", CASES)
def test_a_stream_is_metered_by_its_own_last_figures(form: str, name: str):
    case = CASES[name]
    got = passed(meter(form, case.answers), [STREAMS[form][name]])
    assert (got.reported, got.output_bytes, got.has_failed) == (
        case.reported,
        len(case.output.encode()),
        case.has_failed,
    )


@pytest.mark.parametrize("form", STREAMS)
def test_a_cut_stream_keeps_the_figures_until_then(form: str):
    got = passed(meter(form), [STREAMS[form]["cut"]])
    assert (got.reported, got.output_bytes) == (part(5, 0, 0, 0), len(CUT[form].encode()))


@pytest.mark.parametrize("form", STREAMS)
@pytest.mark.parametrize("name", [*CASES, "cut"])
def test_every_single_cut_meters_alike_and_delays_no_byte(form: str, name: str):
    stream = STREAMS[form][name]
    whole = passed(meter(form), [stream])
    assert whole.sent == stream
    for pieces in [*every_single_cut(stream), byte_by_byte(stream)]:
        assert passed(meter(form), pieces) == whole


@given(st.sampled_from(["sse", "json"]), st.sampled_from(sorted(CASES)), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cuts_meter_alike(form: str, name: str, places: list[int]):
    stream = STREAMS[form][name]
    assert passed(meter(form), cut(stream, places)) == passed(meter(form), [stream])


@pytest.mark.parametrize("form", STREAMS)
def test_the_reply_names_its_model_and_its_id(form: str):
    got = passed(meter(form), [STREAMS[form]["text"]])
    assert (got.model, got.request_id) == ("gemini-x", "r1")


@given(st.sampled_from(["sse", "json"]), st.lists(st.binary(max_size=60)))
def test_any_bytes_pass_as_they_are(form: str, pieces: list[bytes]):
    assert passed(meter(form), pieces).sent == b"".join(pieces)
