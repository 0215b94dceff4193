"""Keeping the ledgers: which there are, making charges durable, and forgetting what is older than it must be."""

from kvot.core.window import floor_before
from kvot.stores.sqlite import chain, stored_replies
from kvot.stores.sqlite.begin import begin, close_due
from kvot.stores.sqlite.company import load, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import from_guid, to_guid
from kvot.stores.sqlite.flush import flush
from kvot.stores.sqlite.sweep import Place, begin_sweep

_COMPANIES = "SELECT company_id FROM company ORDER BY company_id"
_WITH_DUE = """SELECT company_id FROM company WHERE (?2 IS NULL OR company_id = ?2) AND due_at <= max(?1, clock)
    AND EXISTS (SELECT 1 FROM hold
        WHERE hold.company_no = company.company_no AND state = 0 AND expires_at <= max(?1, company.clock))
    LIMIT ?3"""
_MARK = "INSERT INTO sweep VALUES (?, ?) ON CONFLICT DO UPDATE SET floor_at = excluded.floor_at"


def companies(tx: Tx) -> list[str]:
    return [from_guid(guid) for (guid,) in tx.execute(_COMPANIES)]


CLOSED_MAX = 1_000
"""Holds that one transaction closes when nobody waits for it: some 10 ms, for which others do."""


def expire(tx: Tx, company_id: str | None, now_ms: int) -> int:
    """Close due holds; how many. With CLOSED_MAX of them there may be more."""
    flush(tx)
    asked, closed = None if company_id is None else to_guid(company_id), 0
    for (guid,) in tx.execute(_WITH_DUE, (now_ms, asked, CLOSED_MAX)).fetchall():
        closed += _expire(tx, from_guid(guid), now_ms, CLOSED_MAX - closed)
        if closed == CLOSED_MAX:
            break
    return closed


def _expire(tx: Tx, company_id: str, now_ms: int, holds_max: int) -> int:
    company = load(tx, company_id, now_ms)
    closed = close_due(tx, company, holds_max)
    save(tx, company)
    return closed


def raise_floor(tx: Tx, company_id: str, before_ms: int, now_ms: int) -> tuple[int, Place | None]:
    """Forget all at or before the floor, which is returned, with where to begin deleting it: see `sweep`."""
    company = begin(tx, company_id, now_ms)
    window_start_ms = company.clock - company.budget(tx.rules).window_ms
    floor_ms = floor_before(min(before_ms, window_start_ms))
    if floor_ms > company.floor_at:
        company.floor_late += chain.late_between(tx, company, company.floor_at, floor_ms)
        company.floor_cum = chain.cum_at(tx, company, floor_ms)
        company.floor_at = floor_ms
        tx.execute(_MARK, (company.no, floor_ms))
    stored_replies.forget_old(tx, company)
    save(tx, company)
    return company.floor_at, begin_sweep(tx, company)
