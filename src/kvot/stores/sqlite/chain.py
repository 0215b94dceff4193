"""The arithmetic of the ledger: a chain of running totals and a sidecar for what does not come in order.

    P(t)       the chain's total through t: one seek
    L(a, b]    the sidecar's tokens over (a, b]: at most two runs of slots a level
    (a, b]     holds P(b) - P(a) + L(a, b] tokens

The chain only grows: what would lower it (a correction) or overflow it goes to the sidecar, as what comes late does.
Source: docs/internals/ledger.md.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain

from kvot.core.errors import beyond_retention
from kvot.core.model import TOTAL_MAX
from kvot.core.window import INSTANT_MAX, SHIFTS, slot_ranges
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx

_PUT_POINT = "INSERT INTO point VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cum = excluded.cum"
_DROP_POINT = "DELETE FROM point WHERE company_no = ? AND at = ?"
_PUT_LATE = "INSERT INTO late VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens"

_CUM = "SELECT cum FROM point WHERE company_no = ? AND at <= ? ORDER BY at DESC LIMIT 1"
_LATE = "SELECT sum(tokens) FROM late WHERE company_no = ? AND level = ? AND slot >= ? AND slot < ?"


def post(tx: Tx, company: Company, at_ms: int, tokens: int) -> None:
    """Count tokens at an instant above the floor. The caller has seen that the company has room for them."""
    if company.head_at <= at_ms <= company.clock and 0 <= tokens <= TOTAL_MAX - company.head_cum:
        if at_ms > company.head_at:
            write_head(tx, company)
        company.head_at, company.head_cum, company.is_head_written = at_ms, company.head_cum + tokens, False
    else:
        _put_late(tx, company, [at_ms], [tokens])


def write_head(tx: Tx, company: Company) -> None:
    """Events of one instant share a point, which is written when the next begins, or by `flush`."""
    if not company.is_head_written:
        tx.execute(_PUT_POINT, (company.no, company.head_at, company.head_cum))
        company.is_head_written = True


def post_all(tx: Tx, company: Company, at_ms: Sequence[int], tokens: Sequence[int]) -> dict[int, int]:
    """Count many, none below zero. In order of time, so that as many as can join the chain.

    The new points of the chain, totals by instant, are returned, for `add_points` to write with other companies'.
    """
    if sorted(at_ms) != at_ms:
        at_ms, tokens = map(list, zip(*sorted(zip(at_ms, tokens, strict=True)), strict=True))
    first, end = bisect_left(at_ms, company.head_at), bisect_left(at_ms, company.clock + 1)
    if sum(tokens[first:end]) > TOTAL_MAX - company.head_cum:
        first = end
    _put_late(tx, company, [*at_ms[:first], *at_ms[end:]], [*tokens[:first], *tokens[end:]])
    return _extend(tx, company, at_ms[first:end], tokens[first:end])


def _extend(tx: Tx, company: Company, at_ms: Sequence[int], tokens: Sequence[int]) -> dict[int, int]:
    if not at_ms:
        return {}
    write_head(tx, company)
    if at_ms[0] == company.head_at:
        tx.execute(_DROP_POINT, (company.no, company.head_at))
    _, *cums = accumulate(tokens, initial=company.head_cum)
    company.head_at, company.head_cum = at_ms[-1], cums[-1]
    return dict(zip(at_ms, cums, strict=True))  # of those of one instant the last counts


def add_points(tx: Tx, points: dict[int, dict[int, int]]) -> None:
    """Write what `post_all` returned, by the companies' numbers."""
    company_nos = [no for no, each in points.items() for _ in range(len(each))]
    if company_nos:
        at_ms, cums = chain.from_iterable(points.values()), chain.from_iterable(map(dict.values, points.values()))
        tx.insert("point", [company_nos, list(at_ms), list(cums)])


def _put_late(tx: Tx, company: Company, at_ms: Sequence[int], tokens: Sequence[int]) -> None:
    if not at_ms:
        return
    slots: dict[tuple[int, int], int] = {}
    for instant_ms, count in zip(at_ms, tokens, strict=True):
        for level, shift in enumerate(SHIFTS):
            slot = (level, instant_ms >> shift)
            slots[slot] = slots.get(slot, 0) + count
    tx.executemany(_PUT_LATE, [(company.no, *slot, count) for slot, count in sorted(slots.items())])
    company.late_events += len(at_ms)
    company.late_tokens += sum(tokens)


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
    cum = company.cums.get(at_ms)
    if cum is None:
        rows = tx.execute(_CUM, (company.no, at_ms)).fetchall()
        cum = company.cums[at_ms] = rows[0][0] if rows else company.floor_cum
    return cum


def check_kept(company: Company, after_ms: int) -> None:
    """Raise InvalidRequest if what lies later than `after_ms` is not all kept."""
    if company.floor_at and after_ms < company.floor_at:
        raise beyond_retention(company.floor_at)


def late_between(tx: Tx, company: Company, after_ms: int, through_ms: int) -> int:
    if not company.late_events:
        return 0
    runs = slot_ranges(max(after_ms, company.floor_at), through_ms)
    return sum(tx.number(_LATE, (company.no, *run)) for run in runs)
