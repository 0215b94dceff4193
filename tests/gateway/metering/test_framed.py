"""Meters of lines and elements: what could not be read counts whole, and passes."""

from collections.abc import Callable

import pytest

from kvot.gateway.metering.framed import FramedMeter, Frames
from kvot.gateway.metering.json_array import ElementReader
from kvot.gateway.metering.ndjson import LineReader
from kvot.gateway.providers.ollama.meters import Lines
from tests.gateway.cuts import byte_by_byte, every_single_cut, passed

LONG = b'{"response":"%s"}' % (b"x" * 90)
LAST = b'{"response":"Hi","prompt_eval_count":3,"eval_count":2,"done":true}'
STREAMS: dict[str, tuple[Callable[[int], Frames], bytes]] = {
    "lines": (LineReader, b"%b\n%b\n" % (LONG, LAST)),
    "elements": (ElementReader, b"[%b,%b]" % (LONG, LAST)),
}


def meter(frames: Callable[[int], Frames], bytes_max: int) -> FramedMeter:
    return FramedMeter(frames(bytes_max), Lines())


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_over_the_bound_counts_whole_and_the_next_is_read(name: str):
    frames, stream = STREAMS[name]
    for pieces in [[stream], byte_by_byte(stream), *every_single_cut(stream)]:
        got = passed(meter(frames, len(LAST)), pieces)
        assert (got.sent, got.output_bytes) == (stream, len(LONG) + len("Hi"))
        assert got.reported


@pytest.mark.parametrize("name", STREAMS)
def test_what_was_cut_counts_whole(name: str):
    frames, stream = STREAMS[name]
    cut = stream[: stream.index(b"done")]
    got = passed(meter(frames, 1_000), [cut])
    assert got.output_bytes == 90 + len(cut) - cut.index(LAST[:5], 1 + len(LONG))
    assert got.reported is None
