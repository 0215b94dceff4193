"""What is read of a ledger beyond usage of now: usage of any instant, series, breakdowns, holds.

Nothing here writes. Each function is called inside one snapshot.
"""

import json
from collections.abc import Sequence
from itertools import pairwise

from kvot.core.model import CallDetail, Hold, HoldChange, HoldEnd, HoldState, Series, Share, Source, Status, Usage
from kvot.core.window import MS_PER_HOUR, hour_of
from kvot.stores.sqlite import chain, forecast, hold_rows, labels
from kvot.stores.sqlite.begin import due_holds
from kvot.stores.sqlite.company import Company, load
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import HOLD_STATES, SOURCES
from kvot.stores.sqlite.meter import budget_at, usage_at, usage_now, used_between

_BREAKDOWN = """SELECT label_set_no, source, sum(events), sum(tokens), sum(input_tokens), sum(output_tokens)
    FROM rollup WHERE company_no = ? AND hour >= ? AND hour < ? GROUP BY label_set_no, source"""


def usage(tx: Tx, company_id: str, at_ms: int | None, window_ms: int | None, now_ms: int) -> Usage:
    company = load(tx, company_id, now_ms)
    return usage_at(tx, company, company.clock if at_ms is None else at_ms, window_ms)


def series(tx: Tx, company_id: str, edges_ms: Sequence[int], window_ms: int | None, now_ms: int) -> Series:
    company = load(tx, company_id, now_ms)
    rolling = tuple(_rolling(tx, company, edge_ms, window_ms) for edge_ms in edges_ms)
    tokens = tuple(used_between(tx, company, first_ms - 1, end_ms - 1) for first_ms, end_ms in pairwise(edges_ms))
    return Series(tuple(edges_ms), tokens, rolling)


def _rolling(tx: Tx, company: Company, at_ms: int, window_ms: int | None) -> int:
    window_ms = budget_at(tx, company, at_ms).window_ms if window_ms is None else window_ms
    return used_between(tx, company, at_ms - window_ms, at_ms)


def breakdown(tx: Tx, company_id: str, by: str, now_ms: int, *, first_hour: int, end_hour: int) -> list[Share]:
    company = load(tx, company_id, now_ms)
    chain.check_kept(company, first_hour * MS_PER_HOUR - 1)
    sums: dict[str | None, list[int]] = {}
    for number, source, *counts in tx.execute(_BREAKDOWN, (company.no, first_hour, end_hour)).fetchall():
        _add(sums, _label(tx, company, by, number, SOURCES[source]), counts)
    for hold in due_holds(tx, company):
        if hold.dispatched and first_hour <= hour_of(hold.expires_at) < end_hour:
            label = _label(tx, company, by, hold.label_set_no, Source.ESTIMATED)
            _add(sums, label, [1, hold.amount, 0, 0])
    shares = [Share(label, *counts) for label, counts in sums.items()]
    return sorted(shares, key=lambda share: (-share.tokens, share.label is None, share.label or ""))


def _label(tx: Tx, company: Company, by: str, label_set_no: int, source: Source) -> str | None:
    if by == "source":
        return source.value
    label: str | None = getattr(CallDetail(*labels.labels_of(tx, company.no, label_set_no)), by)
    return label


def _add(sums: dict[str | None, list[int]], label: str | None, counts: Sequence[int]) -> None:
    before = sums.get(label, (0, 0, 0, 0))
    sums[label] = [one + other for one, other in zip(before, counts, strict=True)]


def fits_at(tx: Tx, company_id: str, tokens: int, now_ms: int) -> int | None:
    return forecast.fits_at(tx, load(tx, company_id, now_ms), tokens)


def hold(tx: Tx, company_id: str, hold_id: str, now_ms: int) -> HoldChange:
    company = load(tx, company_id, now_ms)
    kept = hold_rows.get(tx, company, hold_id)
    if kept is None:
        return HoldChange(Status.NOT_FOUND, usage_now(tx, company))
    state = _state_now(company, kept.state, kept.dispatched, kept.expires_at_ms)
    if state is not kept.state:
        kept = kept._replace(state=state, closed_at_ms=kept.expires_at_ms)
    return HoldChange(Status.DONE, usage_now(tx, company), kept)


def open_holds(tx: Tx, company_id: str, limit: int, now_ms: int) -> list[Hold]:
    company = load(tx, company_id, now_ms)
    return [hold_rows.to_hold(tx, company, row) for row in hold_rows.open_ones(tx, company, limit)]


def tagged_holds(
    tx: Tx, company_id: str, tags: Sequence[str], within_ms: int, limit: int, now_ms: int
) -> list[HoldEnd]:
    company = load(tx, company_id, now_ms)
    rows = hold_rows.tagged(tx, company, tags, company.clock - within_ms, limit)
    return [_end(company, row) for row in rows]


def _end(company: Company, row: hold_rows.HoldRow) -> HoldEnd:
    state = _state_now(company, HOLD_STATES[row.state], bool(row.dispatched), row.expires_at)
    closed_at = row.closed_at if state is HOLD_STATES[row.state] else row.expires_at
    when = (row.expires_at, closed_at)
    if row.settlement is None:
        return HoldEnd(hold_rows.id_of(row), state, *when, row.amount, None)
    tokens, source_no, *_ = json.loads(row.settlement)
    return HoldEnd(hold_rows.id_of(row), state, *when, tokens, SOURCES[source_no])


def _state_now(company: Company, state: HoldState, dispatched: bool, expires_at: int) -> HoldState:
    """A due hold is seen as closed."""
    if state is HoldState.OPEN and expires_at <= company.clock:
        return HoldState.CHARGED if dispatched else HoldState.EXPIRED
    return state
