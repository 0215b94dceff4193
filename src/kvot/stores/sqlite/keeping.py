"""Keeping the ledgers: which there are, making charges durable, and forgetting what is older than it must be."""

from kvot.core.model import Pruned
from kvot.core.store import settlement_event_id
from kvot.core.window import SHIFTS, floor_before, hour_of
from kvot.stores.sqlite import chain, stored_replies
from kvot.stores.sqlite.begin import begin, close_due
from kvot.stores.sqlite.company import Company, load, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import from_guid, from_key
from kvot.stores.sqlite.entry import find

_COMPANIES = "SELECT company_id FROM company ORDER BY company_id"
_WITH_DUE = """SELECT company_id FROM company WHERE company_no IN
    (SELECT company_no FROM hold WHERE state = 0 AND expires_at <= max(?, company.clock))"""
_DELETE_EVENTS = "DELETE FROM event WHERE company_no = ? AND at <= ?"
_DELETE_POINTS = "DELETE FROM point WHERE company_no = ? AND at <= ?"
_DELETE_LATE = "DELETE FROM late WHERE company_no = ? AND level = ? AND slot < ?"
_DELETE_ROLLUP = "DELETE FROM rollup WHERE company_no = ? AND hour <= ?"
_CLOSED_HOLDS = "SELECT hold_id FROM hold WHERE company_no = ? AND created_at <= ? AND closed_at <= ?"
_DELETE_HOLD = "DELETE FROM hold WHERE company_no = ? AND hold_id = ?"


def companies(tx: Tx) -> list[str]:
    return [from_guid(guid) for (guid,) in tx.execute(_COMPANIES)]


def expire(tx: Tx, now_ms: int) -> int:
    return sum(_expire(tx, from_guid(guid), now_ms) for (guid,) in tx.execute(_WITH_DUE, (now_ms,)).fetchall())


def _expire(tx: Tx, company_id: str, now_ms: int) -> int:
    company = load(tx, company_id, now_ms)
    closed = close_due(tx, company)
    save(tx, company)
    return closed


def prune(tx: Tx, company_id: str, before_ms: int, now_ms: int) -> Pruned:
    company = begin(tx, company_id, now_ms)
    window_start_ms = company.clock - company.budget(tx.rules).window_ms
    floor_ms = floor_before(min(before_ms, window_start_ms))
    events = _forget(tx, company, floor_ms) if floor_ms > company.floor_at else 0
    stored_replies.forget_old(tx, company)
    save(tx, company)
    return Pruned(company.floor_at, events)


def _forget(tx: Tx, company: Company, floor_ms: int) -> int:
    """Raise the floor and delete what lies at or below it; how many events."""
    forgotten_late = chain.late_between(tx, company, company.floor_at, floor_ms)
    company.floor_cum = chain.cum_at(tx, company, floor_ms)
    company.floor_late += forgotten_late
    company.floor_at = floor_ms
    tx.execute(_DELETE_POINTS, (company.no, floor_ms))
    for level, shift in enumerate(SHIFTS):
        tx.execute(_DELETE_LATE, (company.no, level, (floor_ms + 1) >> shift))
    tx.execute(_DELETE_ROLLUP, (company.no, hour_of(floor_ms)))
    tx.execute(_DELETE_EVENTS, (company.no, floor_ms))
    events = tx.connection.changes()
    _forget_holds(tx, company, floor_ms)
    return events


def _forget_holds(tx: Tx, company: Company, floor_ms: int) -> None:
    """A hold is remembered as long as its event is, or its id could be taken a second time."""
    for (key,) in tx.execute(_CLOSED_HOLDS, (company.no, floor_ms, floor_ms)).fetchall():
        if find(tx, company, settlement_event_id(from_key(key))) is None:
            tx.execute(_DELETE_HOLD, (company.no, key))
