"""Recomputes every kept number of one company from its events, holds and history, and names what differs.

All sums are SQLite's, so that other threads run meanwhile. Reads only: the verdict is written by `set_in_doubt`.
"""

from collections.abc import Iterator

from kvot.core.model import Difference, Verification
from kvot.core.window import SHIFTS, hour_of
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, load, save
from kvot.stores.sqlite.connection import Tx

DIFFERENCES_MAX = 100
"""Of each kind: enough to see what is wrong, not a second copy of the ledger."""

_EVENTS = "SELECT count(*), coalesce(sum(tokens), 0) FROM event WHERE company_no = ? AND at > ?"

_BY_INSTANT = f"""SELECT at, sum(kept), sum(tokens) FROM (
    SELECT at, cum - lag(cum, 1, ?2) OVER (ORDER BY at) AS kept, 0 AS tokens FROM point
    WHERE company_no = ?1 AND at > ?3
    UNION ALL SELECT slot, tokens, 0 FROM late WHERE company_no = ?1 AND level = 0 AND slot > ?3
    UNION ALL SELECT at, 0, tokens FROM event WHERE company_no = ?1 AND at > ?3
) GROUP BY at HAVING sum(kept) <> sum(tokens) LIMIT {DIFFERENCES_MAX}"""

_BY_SLOT = f"""SELECT slot, sum(kept), sum(tokens) FROM (
    SELECT slot, tokens AS kept, 0 AS tokens FROM late WHERE company_no = ?1 AND level = ?2 AND slot > ?4 >> ?3
    UNION ALL SELECT slot >> ?3, 0, tokens FROM late WHERE company_no = ?1 AND level = ?2 - 1 AND slot > ?4
) GROUP BY slot HAVING sum(kept) <> sum(tokens) LIMIT {DIFFERENCES_MAX}"""

_BY_HOUR = f"""SELECT hour, label_set_no, source,
    sum(events), sum(tokens), sum(input), sum(output), sum(events_now), sum(tokens_now), sum(input_now), sum(output_now)
FROM (
    SELECT hour, label_set_no, source, events, tokens, input_tokens AS input, output_tokens AS output,
        0 AS events_now, 0 AS tokens_now, 0 AS input_now, 0 AS output_now
    FROM rollup WHERE company_no = ?1 AND hour > ?2
    UNION ALL
    SELECT at / 3600000, label_set_no, source, 0, 0, 0, 0,
        1, tokens, coalesce(input_tokens, 0), coalesce(output_tokens, 0)
    FROM event WHERE company_no = ?1 AND at / 3600000 > ?2
) GROUP BY hour, label_set_no, source
HAVING (sum(events), sum(tokens), sum(input), sum(output))
    <> (sum(events_now), sum(tokens_now), sum(input_now), sum(output_now)) LIMIT {DIFFERENCES_MAX}"""
_MEASURES = ("events", "tokens", "input_tokens", "output_tokens")

_LAST_POINT = "SELECT at, cum FROM point WHERE company_no = ? AND at > ? ORDER BY at DESC LIMIT 1"
_BELOW_FLOOR = """SELECT count(*) FROM event WHERE company_no = ?1 AND at <= ?2
    AND NOT EXISTS (SELECT * FROM sweep WHERE company_no = ?1)"""
_LATE = "SELECT count(*), coalesce(sum(tokens), 0) FROM late WHERE company_no = ? AND level = 0 AND slot > ?"
_OPEN = "SELECT coalesce(sum(amount), 0), min(expires_at) FROM hold WHERE company_no = ? AND state = 0"
_SPAN = "SELECT max(expires_at - created_at) FROM hold WHERE company_no = ?"
_BUDGET = "SELECT token_limit, window_days FROM budget WHERE company_no = ? ORDER BY seq DESC LIMIT 1"


def verify(tx: Tx, company_id: str, now_ms: int) -> tuple[Verification, bool]:
    """What was found, and whether the company is in doubt already."""
    company = load(tx, company_id, now_ms)
    checks = (_instants, _slots, _rollup, _ends, _floor, _holds, _budget)
    differences = tuple(difference for check in checks for difference in check(tx, company))
    events, tokens = tx.execute(_EVENTS, (company.no, _floor_of(company))).fetchall()[0]
    return Verification(company_id, events, tokens, differences), bool(company.in_doubt)


def _floor_of(company: Company) -> int:
    """What is above it is kept; what is not may be there no more. -1: nothing was ever forgotten."""
    return company.floor_at or -1


def set_in_doubt(tx: Tx, company_id: str, in_doubt: bool, now_ms: int) -> None:
    company = begin(tx, company_id, now_ms)
    company.in_doubt = int(in_doubt)
    save(tx, company)


def _instants(tx: Tx, company: Company) -> Iterator[Difference]:
    """At every millisecond the chain's step and the sidecar's slot together are what its events say."""
    for at_ms, kept, recomputed in tx.execute(_BY_INSTANT, (company.no, company.floor_cum, _floor_of(company))):
        yield Difference(f"point and late, at {at_ms}", kept, recomputed)


def _slots(tx: Tx, company: Company) -> Iterator[Difference]:
    for level in range(1, len(SHIFTS)):
        below = _floor_of(company) >> SHIFTS[level - 1]
        values = (company.no, level, SHIFTS[level] - SHIFTS[level - 1], below)
        for slot, kept, recomputed in tx.execute(_BY_SLOT, values):
            yield Difference(f"late, level {level} slot {slot}", kept, recomputed)


def _rollup(tx: Tx, company: Company) -> Iterator[Difference]:
    floor_hour = hour_of(company.floor_at) if company.floor_at else -1
    for hour, label_set_no, source, *sums in tx.execute(_BY_HOUR, (company.no, floor_hour)):
        where = f"rollup, hour {hour} label_set_no {label_set_no} source {source}"
        for measure, kept, recomputed in zip(_MEASURES, sums[:4], sums[4:], strict=True):
            yield from _compare(f"{where} {measure}", kept, recomputed)


def _ends(tx: Tx, company: Company) -> Iterator[Difference]:
    """The company's own row says where chain and sidecar end."""
    last = tx.row(_LAST_POINT, (company.no, _floor_of(company)))
    head_at, head_cum = last if last is not None else (min(company.head_at, company.floor_at), company.floor_cum)
    yield from _compare("company head_at", company.head_at, head_at)
    yield from _compare("company head_cum", company.head_cum, head_cum)
    slots, late_tokens = tx.execute(_LATE, (company.no, _floor_of(company))).fetchall()[0]
    yield from _compare("company late_tokens", company.late_tokens - company.floor_late, late_tokens)
    if slots > company.late_events:
        yield Difference("company late_events", company.late_events, slots)


def _floor(tx: Tx, company: Company) -> Iterator[Difference]:
    """Nothing is kept at or below the floor, or questions that could be answered would be refused; unless a prune is
    still deleting it."""
    if company.floor_at:
        below = tx.number(_BELOW_FLOOR, (company.no, company.floor_at))
        yield from _compare("event, at or below the floor", 0, below)


def _holds(tx: Tx, company: Company) -> Iterator[Difference]:
    """The held total is exact; `due_at` and `hold_span_ms` are bounds, wrong only when they hide a hold."""
    held, first_due_at = tx.execute(_OPEN, (company.no,)).fetchall()[0]
    yield from _compare("company held", company.held, held)
    if first_due_at is not None and (company.due_at is None or company.due_at > first_due_at):
        yield Difference("company due_at", company.due_at, first_due_at)
    span_ms = tx.number(_SPAN, (company.no,))
    if span_ms > company.hold_span_ms:
        yield Difference("company hold_span_ms", company.hold_span_ms, span_ms)


def _budget(tx: Tx, company: Company) -> Iterator[Difference]:
    token_limit, window_days = tx.row(_BUDGET, (company.no,)) or (None, None)
    yield from _compare("company token_limit", company.token_limit, token_limit)
    yield from _compare("company window_days", company.window_days, window_days)


def _compare(where: str, kept: object, recomputed: object) -> Iterator[Difference]:
    if kept != recomputed:
        yield Difference(where, kept, recomputed)  # type: ignore[arg-type]
