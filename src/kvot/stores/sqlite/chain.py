"""The arithmetic of the ledger: a chain of running totals and a sidecar for what does not come in order.

    P(t)       the chain's total through t: one seek
    L(a, b]    the sidecar's tokens over (a, b]: at most two runs of slots a level
    (a, b]     holds P(b) - P(a) + L(a, b] tokens

The chain only grows: what would lower it (a correction) or overflow it goes to the sidecar, as what comes late does.
Source: docs/internals/ledger.md.
"""

from bisect import bisect_left
from itertools import accumulate, repeat

from kvot.core.errors import InvalidRequest
from kvot.core.model import TOTAL_MAX
from kvot.core.window import INSTANT_MAX, SHIFTS, slot_ranges
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx

_ADD_POINT = "INSERT INTO point VALUES (?, ?, ?)"
_DROP_POINT = "DELETE FROM point WHERE company_no = ? AND at = ?"
_PUT_LATE = "INSERT INTO late VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens"

_CUM = "SELECT cum FROM point WHERE company_no = ? AND at <= ? ORDER BY at DESC LIMIT 1"
_LATE = "SELECT sum(tokens) FROM late WHERE company_no = ? AND level = ? AND slot >= ? AND slot < ?"


def post(tx: Tx, company: Company, at_ms: int, tokens: int) -> None:
    """Count tokens at an instant above the floor. The caller has seen that the company has room for them."""
    if company.head_at <= at_ms <= company.clock and 0 <= tokens <= TOTAL_MAX - company.head_cum:
        _extend(tx, company, [(at_ms, tokens)])
    else:
        _put_late(tx, company, [(at_ms, tokens)])


def post_all(tx: Tx, company: Company, counts: list[tuple[int, int]]) -> None:
    """Count many (instant, tokens), none below zero. In order of time, so that as many as can join the chain."""
    counts.sort()
    first = bisect_left(counts, (company.head_at, 0))
    end = bisect_left(counts, (company.clock + 1, 0))
    if sum([tokens for _, tokens in counts[first:end]]) > TOTAL_MAX - company.head_cum:
        first = end
    _extend(tx, company, counts[first:end])
    _put_late(tx, company, counts[:first] + counts[end:])


def _extend(tx: Tx, company: Company, counts: list[tuple[int, int]]) -> None:
    if not counts:
        return
    instants, tokens = zip(*counts, strict=True)
    if instants[0] == company.head_at:
        tx.execute(_DROP_POINT, (company.no, company.head_at))
    _, *cums = accumulate(tokens, initial=company.head_cum)
    points = dict(zip(instants, cums, strict=True))  # of those of one instant the last counts
    tx.insert(_ADD_POINT, list(zip(repeat(company.no), points.keys(), points.values(), strict=False)))
    company.head_at, company.head_cum = instants[-1], cums[-1]


def _put_late(tx: Tx, company: Company, counts: list[tuple[int, int]]) -> None:
    if not counts:
        return
    slots: dict[tuple[int, int], int] = {}
    for at_ms, tokens in counts:
        for level, shift in enumerate(SHIFTS):
            slot = (level, at_ms >> shift)
            slots[slot] = slots.get(slot, 0) + tokens
    tx.executemany(_PUT_LATE, [(company.no, *slot, tokens) for slot, tokens in sorted(slots.items())])
    company.late_events += len(counts)
    company.late_tokens += sum(tokens for _, tokens in counts)


def between(tx: Tx, company: Company, after_ms: int, through_ms: int) -> int:
    """Tokens of the events in `(after_ms, through_ms]`."""
    in_order = cum_at(tx, company, through_ms) - cum_at(tx, company, after_ms)
    return in_order + late_between(tx, company, after_ms, through_ms)


def since(tx: Tx, company: Company, after_ms: int) -> int:
    """Tokens of all events later than `after_ms`, those ahead of the clock too."""
    in_order = company.head_cum - cum_at(tx, company, after_ms)
    return in_order + late_between(tx, company, after_ms, INSTANT_MAX)


def cum_at(tx: Tx, company: Company, at_ms: int) -> int:
    check_kept(company, at_ms)
    if at_ms >= company.head_at:
        return company.head_cum
    rows = tx.execute(_CUM, (company.no, at_ms)).fetchall()
    return rows[0][0] if rows else company.floor_cum


def check_kept(company: Company, after_ms: int) -> None:
    """Raise InvalidRequest if what lies later than `after_ms` is not all kept."""
    if company.floor_at and after_ms < company.floor_at:
        message = f"Detail at or before {company.floor_at} ms is no longer kept."
        raise InvalidRequest(message, code="BeyondRetention")


def late_between(tx: Tx, company: Company, after_ms: int, through_ms: int) -> int:
    if not company.late_events:
        return 0
    runs = slot_ranges(max(after_ms, company.floor_at), through_ms)
    return sum(tx.number(_LATE, (company.no, *run)) for run in runs)
