"""A process's time follows the wall as far as a steady clock agrees."""

from hypothesis import given
from hypothesis import strategies as st

from kvot.core.clock import LEAP_MAX_MS, SteadyClock


class Hands:
    """Two clocks that a test turns by hand."""

    def __init__(self) -> None:
        self.wall_ms = 1_790_000_000_000
        self.steady_ms = 5_000
        self.clock = SteadyClock(lambda: self.wall_ms, lambda: self.steady_ms)

    def turn(self, wall_ms: int, steady_ms: int) -> int:
        self.wall_ms += wall_ms
        self.steady_ms += steady_ms
        return self.clock()


def test_time_starts_at_the_wall():
    hands = Hands()
    assert hands.clock() == hands.wall_ms


def test_time_follows_the_wall_while_both_agree():
    hands = Hands()
    assert hands.turn(10_000, 10_000) == hands.wall_ms
    assert hands.turn(86_400_000, 86_400_000) == hands.wall_ms


def test_a_small_leap_is_followed_and_a_longer_one_is_not():
    hands = Hands()
    assert hands.turn(LEAP_MAX_MS, 0) == hands.wall_ms
    before_ms = hands.clock()
    assert hands.turn(LEAP_MAX_MS + 1, 0) == before_ms
    assert hands.clock.refused_leap_ms == LEAP_MAX_MS + 1


def test_after_a_refused_leap_time_goes_on_at_the_steady_pace():
    hands = Hands()
    start_ms = hands.clock()
    hands.turn(10 * LEAP_MAX_MS, 0)
    assert hands.turn(1_000, 1_000) == start_ms + 1_000
    assert hands.clock.refused_leap_ms == 10 * LEAP_MAX_MS


def test_a_leap_that_is_taken_back_is_forgotten():
    hands = Hands()
    hands.turn(10 * LEAP_MAX_MS, 0)
    assert hands.turn(1_000 - 10 * LEAP_MAX_MS, 1_000) == hands.wall_ms
    assert hands.clock.refused_leap_ms == 0


def test_a_wall_that_goes_back_freezes_time_until_it_has_caught_up():
    hands = Hands()
    start_ms = hands.clock()
    assert hands.turn(-60_000, 1_000) == start_ms
    assert hands.turn(59_000, 59_000) == start_ms
    assert hands.turn(2_000, 2_000) == start_ms + 1_000


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(-5, 10**6))))
def test_time_never_goes_back_nor_ahead_of_both_clocks(turns: list[tuple[int, int]]):
    hands, last_ms = Hands(), 0
    for wall_ms, steady_ms in turns:
        before_ms = last_ms or hands.clock()
        now_ms = hands.turn(wall_ms, steady_ms)
        assert before_ms <= now_ms <= before_ms + max(0, steady_ms) + LEAP_MAX_MS
        last_ms = now_ms
