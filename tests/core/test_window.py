"""Slots cover exactly what they should, and the floor is never later than asked."""

from hypothesis import given
from hypothesis import strategies as st

from kvot.core.window import MS_PER_HOUR, SHIFTS, floor_before, hour_of, slot_ranges

EDGES = st.builds(
    lambda slot, shift, nudge: (slot << shift) + nudge,
    st.integers(1, 2**20),
    st.sampled_from(SHIFTS),
    st.integers(-2, 2),
)
INSTANTS = st.one_of(EDGES, st.integers(0, 2**41))


def covered(runs: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The runs as `[first_ms, end_ms)`, in order."""
    return sorted((first << SHIFTS[level], end << SHIFTS[level]) for level, first, end in runs)


@given(INSTANTS, INSTANTS)
def test_the_runs_of_a_range_cover_it_without_gap_or_overlap(one: int, other: int):
    after_ms, through_ms = sorted((one, other))
    position = after_ms + 1
    for first_ms, end_ms in covered(slot_ranges(after_ms, through_ms)):
        assert first_ms == position
        assert end_ms > first_ms
        position = end_ms
    assert position == through_ms + 1


@given(INSTANTS, INSTANTS)
def test_of_no_level_are_more_than_two_runs_read_nor_more_than_510_slots(one: int, other: int):
    after_ms, through_ms = sorted((one, other))
    runs = slot_ranges(after_ms, through_ms)
    for level in range(len(SHIFTS) - 1):
        of_level = [end - first for at, first, end in runs if at == level]
        assert len(of_level) <= 2
        assert sum(of_level) <= 2 * 255


@given(INSTANTS, st.integers(0, 10))
def test_an_empty_range_has_no_runs(at_ms: int, back_ms: int):
    assert slot_ranges(at_ms, at_ms - back_ms) == []


def test_ranges_at_the_edges_of_slots():
    k = 7 << 24
    table = [
        ((k - 1, k), [(0, k, k + 1)]),
        ((k, k + 1), [(0, k + 1, k + 2)]),
        ((k - 1, k + 255), [(1, k >> 8, (k >> 8) + 1)]),
        ((k - 2, k + 255), [(0, k - 1, k), (1, k >> 8, (k >> 8) + 1)]),
        ((k - 1, k + 256), [(0, k + 256, k + 257), (1, k >> 8, (k >> 8) + 1)]),
        ((k - 1, k + 65_535), [(2, k >> 16, (k >> 16) + 1)]),
        ((k - 1, k + 2**24 - 1), [(3, 7, 8)]),
        ((k - 1, k + 3 * 2**24 - 1), [(3, 7, 10)]),
    ]
    for (after_ms, through_ms), runs in table:
        assert sorted(slot_ranges(after_ms, through_ms)) == runs


@given(INSTANTS)
def test_the_floor_is_the_end_of_a_coarsest_slot_less_than_one_slot_before(before_ms: int):
    floor_ms = floor_before(before_ms)
    assert (floor_ms + 1) % 2**24 == 0
    assert 0 < before_ms - floor_ms <= 2**24


def test_hours_are_whole_and_half_open():
    assert [hour_of(at_ms) for at_ms in (0, MS_PER_HOUR - 1, MS_PER_HOUR)] == [0, 0, 1]
