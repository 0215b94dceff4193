"""The scanner against the HTML standard, and against whoever cuts, lengthens or breaks a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.metering.sse import Event, Scanner
from tests.gateway.cuts import byte_by_byte, cut

BOUND = 64


def events_of(pieces: list[bytes], bound: int = BOUND) -> list[Event]:
    scanner = Scanner(bound)
    return [event for piece in pieces for event in scanner.feed(piece)] + scanner.finish()


def read(stream: bytes) -> list[tuple[bytes, bytes | None]]:
    return [(event.name, event.data) for event in events_of([stream])]


@pytest.mark.parametrize(
    ("stream", "read_as"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\n\n", [(b"", b"a")]),
        (b"data:  a\n\n", [(b"", b" a")]),
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"data\n\n", [(b"", b"")]),
        (b"event: e\ndata: a\n\n", [(b"e", b"a")]),
        (b"event:e\nid: 7\nretry: 1\ndata: a\n\n", [(b"e", b"a")]),
        (b"event: e\nevent: f\ndata: a\n\n", [(b"f", b"a")]),
        (b"data: a\nevent: e\n\n", [(b"e", b"a")]),
        (b": a comment\n\n", [(b"", None)]),
        (b": a comment\ndata: a\n\n", [(b"", b"a")]),
        (b"database: a\n\n", [(b"", None)]),
        (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [(b"", b"a"), (b"", None)]),
        (b"data: a\n\n\n\ndata: b\n\n", [(b"", b"a"), (b"", None), (b"", b"b")]),
        (b"\n\ndata: a\n\n", [(b"", None), (b"", b"a")]),
        (b"\n\xef\xbb\xbfdata: a\n\n", [(b"", None), (b"", None)]),
        (b"data: no end", [(b"", b"no end")]),
        (b"data: half an end\n", [(b"", b"half an end")]),
        (b"data: \xff\x00\n\n", [(b"", b"\xff\x00")]),
        (b"", []),
    ],
)
def test_an_event_is_read_as_the_standard_says(stream: bytes, read_as: list[tuple[bytes, bytes | None]]):
    assert read(stream) == read_as


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_any_of_three_ways(end: bytes):
    stream = b"event: e|data: a|data: b||: c||data: d||".replace(b"|", end)
    assert read(stream) == [(b"e", b"a\nb"), (b"", None), (b"", b"d")]


def test_ways_to_end_a_line_may_change_from_line_to_line():
    with_data = [data for _, data in read(b"data: a\n\rdata: b\r\r\ndata: c\r\n\ndata: d\n\r\ndata: e\r\n\r") if data]
    assert with_data == [b"a", b"b", b"c", b"d", b"e"]


def test_an_event_is_there_as_soon_as_its_end_is():
    for stream in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
        scanner = Scanner()
        assert [event.data for piece in byte_by_byte(stream) for event in scanner.feed(piece)] == [b"a"]


def test_blank_lines_that_keep_a_connection_pass_at_once():
    scanner = Scanner()
    assert [event.raw for piece in (b"\n", b"\r\n", b"\r") for event in scanner.feed(piece)] == [b"\n", b"\r\n", b"\r"]


def test_an_event_beyond_the_bound_passes_unread_and_the_next_is_read():
    large = b"data: " + b"x" * BOUND + b"\n\n"
    for pieces in ([large + b"data: a\n\n"], byte_by_byte(large + b"data: a\n\n")):
        scanner = Scanner(BOUND)
        events = [event for piece in pieces for event in scanner.feed(piece)]
        assert b"".join(event.raw for event in events[:-1]) == large
        assert not any(event.is_read or event.data is not None for event in events[:-1])
        assert events[-1].data == b"a"


def test_an_event_of_just_the_bound_is_read():
    stream = b"data: " + b"x" * (BOUND - 8) + b"\n\n"
    assert [event.is_read for event in events_of([stream])] == [True]
    assert [event.is_read for event in events_of(byte_by_byte(stream))] == [True]


PIECES_OF_STREAMS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: e",
        b": c",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"{}",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"x" * 40,
    ]
)
STREAMS = st.one_of(st.binary(max_size=200), st.lists(PIECES_OF_STREAMS, max_size=30).map(b"".join))


def told(events: list[Event]) -> list[tuple[bytes, bytes, bytes | None, bool]]:
    """What was found, with the pieces of what was not read put together, and of blank lines."""
    found: list[tuple[bytes, bytes, bytes | None, bool]] = []
    for event in events:
        last = found[-1] if found else None
        if last and last[3] == event.is_read and (not event.is_read or not (last[0] + event.raw).strip(b"\r\n")):
            found[-1] = (last[0] + event.raw, b"", None, event.is_read)
        else:
            found.append((event.raw, event.name, event.data, event.is_read))
    return found


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=8))
def test_however_a_stream_is_cut_the_events_are_the_same_and_no_byte_is_lost(stream: bytes, places: list[int]):
    whole = told(events_of([stream]))
    assert told(events_of(cut(stream, places))) == whole
    assert told(events_of(byte_by_byte(stream))) == whole
    assert b"".join(raw for raw, *_ in whole) == stream


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit", [b"\n", b"\r", b"\n\r", b"\r\n", b"data: a\n", b"data: a\n\n", b"x", b"\x00", b":\r\r"]
)
def test_a_megabyte_of_anything_passes_and_is_not_kept(unit: bytes):
    stream = unit * (MEGABYTE // len(unit))
    scanner = Scanner(4_096)
    sent = held_most = 0
    for start in range(0, len(stream), 1_000):
        sent += sum(len(event.raw) for event in scanner.feed(stream[start : start + 1_000]))
        held_most = max(held_most, min(start + 1_000, len(stream)) - sent)
    sent += sum(len(event.raw) for event in scanner.finish())
    assert sent == len(stream)
    assert held_most <= 4_096
