"""Time in the ledger: the half-open window, the levels of the sidecar, the floor of retention.

An instant is an integer of milliseconds since the Unix epoch, UTC. A window of `window_ms` at the instant `at_ms`
is `(at_ms - window_ms, at_ms]`: an event leaves it exactly `window_ms` after it entered.

The sidecar keeps tokens that did not arrive in order. Each such event is added to one slot on every level; a slot of
level i covers `2 ** SHIFTS[i]` ms. Any range of time is the sum of at most two runs of slots per level.
Source: docs/internals/ledger.md.
"""

MS_PER_SECOND = 1_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000

INSTANT_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999: what every date format that we read and write can carry."""

SHIFTS = (0, 8, 16, 24)
"""1 ms, 256 ms, 65.5 s and 4.66 h to a slot: at most 2 x 255 slots per level are read for any range."""


def slot_ranges(after_ms: int, through_ms: int) -> list[tuple[int, int, int]]:
    """Disjoint runs of slots that cover `(after_ms, through_ms]` exactly, as (level, first, end), end excluded.

    At most two per level. Empty when the range is.
    """
    first, end = after_ms + 1, through_ms + 1
    runs: list[tuple[int, int, int]] = []
    for level, shift in enumerate(SHIFTS[:-1]):
        if first >= end:
            return runs
        size = SHIFTS[level + 1]
        inner_first, inner_end = -(-first >> size) << size, end >> size << size
        if inner_first >= inner_end:  # no whole slot of the next level lies inside
            return [*runs, (level, first >> shift, end >> shift)]
        if first < inner_first:
            runs.append((level, first >> shift, inner_first >> shift))
        if inner_end < end:
            runs.append((level, inner_end >> shift, end >> shift))
        first, end = inner_first, inner_end
    if first < end:
        runs.append((len(SHIFTS) - 1, first >> SHIFTS[-1], end >> SHIFTS[-1]))
    return runs


def floor_before(before_ms: int) -> int:
    """The last instant that pruning `before_ms` may forget: detail at or before it goes, all later detail stays.

    Sidecar slots are removed whole, so the floor is the end of a slot of the coarsest level. At most 4.66 h earlier
    than asked; never later.
    """
    return (before_ms >> SHIFTS[-1] << SHIFTS[-1]) - 1


def hour_of(at_ms: int) -> int:
    """The hour that an instant belongs to in the rollup: whole hours since the epoch."""
    return at_ms // MS_PER_HOUR
