"""Lines that come in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.metering.ndjson import LineReader
from kvot.gateway.metering.thinned import Thinned


def lines_of(*pieces: bytes, line_bytes_max: int = 100) -> list[bytes]:
    reader = LineReader(line_bytes_max)
    return [line for piece in pieces for line in reader.feed(piece)] + reader.finish()


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        (b"", []),
        (b"{}", [b"{}"]),
        (b"{}\n", [b"{}"]),
        (b'{"a":1}\r\n{"a":2}\r\n', [b'{"a":1}\r', b'{"a":2}\r']),
        (b"\n\n{}\n\n[]", [b"{}", b"[]"]),
        (b'{"a":"\\n"}\n', [b'{"a":"\\n"}']),
        ('{"a":"é€😀\u2028"}\n'.encode(), ['{"a":"é€😀\u2028"}'.encode()]),
    ],
)
def test_every_cut_gives_the_same_lines(reply: bytes, lines: list[bytes]):
    assert lines_of(reply) == lines
    assert lines_of(*(reply[n : n + 1] for n in range(len(reply)))) == lines
    for n in range(len(reply)):
        assert lines_of(reply[:n], b"", reply[n:]) == lines


@pytest.mark.parametrize("pieces", [[b"12345678901\n{}\n"], [b"12345", b"678901", b"\n{}"], [b"1" * 30, b"\n{}"]])
def test_a_line_over_the_bound_is_left_out_and_the_next_is_found(pieces: list[bytes]):
    assert lines_of(*pieces, line_bytes_max=10) == [b"{}"]


def test_an_unfinished_line_over_the_bound_is_no_line():
    assert lines_of(b"12345", b"678901", line_bytes_max=10) == []


@given(st.lists(st.binary(max_size=20)))
def test_any_bytes_give_the_lines_that_they_have_when_whole(pieces: list[bytes]):
    whole = b"".join(pieces)
    lines = [line if len(line) <= 9 else thinned(line) for line in whole.split(b"\n")]
    assert lines_of(*pieces, line_bytes_max=9) == [line for line in lines if line]


def thinned(line: bytes) -> bytes:
    thinned = Thinned(9)
    thinned.feed(line)
    return thinned.take()


@pytest.mark.parametrize("step", [1, 7, 1_000, 100_000])
def test_of_a_line_over_the_bound_the_frame_is_read(step: int):
    reply = b'{"a":1}\n{"response":"%s","done":true}\n{"b":2}\n' % (b"x" * 2_000)
    pieces = [reply[n : n + step] for n in range(0, len(reply), step)]
    assert lines_of(*pieces, line_bytes_max=1_000) == [b'{"a":1}', b'{"response":"","done":true}', b'{"b":2}']
