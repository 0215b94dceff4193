import pytest

from kvot.core.durations import duration
from kvot.core.window import MS_PER_DAY

S, MIN, H, D = 1_000, 60_000, 3_600_000, MS_PER_DAY


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "1 s"),
        (1, "1 s"),
        (40 * S, "40 s"),
        (59 * S + 1, "1 min"),
        (2 * MIN + 4_001, "2 min 5 s"),
        (59 * MIN + 59 * S + 1, "1 h"),
        (3 * H + 20 * MIN, "3 h 20 min"),
        (3 * H + 20 * MIN + 1, "3 h 21 min"),
        (23 * H + 59 * MIN + 1, "1 d"),
        (12 * D + 3 * H + 1, "12 d 4 h"),
    ],
)
def test_a_wait_is_told_in_two_units_and_never_too_short(ms: int, words: str):
    assert duration(ms) == words
