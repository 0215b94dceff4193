"""What every write begins with: the company's row, its clock brought to now, its due holds closed."""

from typing import NamedTuple

from kvot.core.model import CallDetail, Event, HoldState, Kind, Source
from kvot.core.store import settlement_event_id
from kvot.stores.sqlite import labels
from kvot.stores.sqlite.company import Company, load_or_create
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import HOLD_STATE_NO, Key, from_key
from kvot.stores.sqlite.entry import enter, row_of


class DueHold(NamedTuple):
    hold_id: Key
    amount: int
    dispatched: int
    label_set_no: int
    expires_at: int


_DUE = """SELECT hold_id, amount, dispatched, label_set_no, expires_at FROM hold
    WHERE company_no = ? AND state = 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?"""
_ALL = -1
"""Of a LIMIT in SQLite: none."""

_CLOSE = "UPDATE hold SET state = ?, closed_at = expires_at WHERE company_no = ? AND hold_id = ?"
_NEXT_DUE = "SELECT min(expires_at) FROM hold WHERE company_no = ? AND state = 0"


def begin(tx: Tx, company_id: str, now_ms: int) -> Company:
    """The company as it is at `now_ms`, made if need be. Whoever begins must `save` it, also to refuse."""
    company = load_or_create(tx, company_id, now_ms)
    if company.due_at is not None and company.due_at <= company.clock:
        close_due(tx, company)
    return company


def due_holds(tx: Tx, company: Company, holds_max: int = _ALL) -> list[DueHold]:
    """Open holds that are due at the company's clock, in order of expiry, then of id; or the first of them."""
    if company.due_at is None or company.due_at > company.clock:
        return []
    due = [DueHold(*row) for row in tx.execute(_DUE, (company.no, company.clock, holds_max))]
    return sorted(due, key=lambda hold: (hold.expires_at, from_key(hold.hold_id)))


def charge_of(tx: Tx, company: Company, hold: DueHold) -> Event:
    """The event that a due hold ends in if its call was sent: its estimate, at the instant it ran out."""
    detail = CallDetail(*labels.labels_of(tx, company.no, hold.label_set_no))
    event_id = settlement_event_id(from_key(hold.hold_id))
    return Event(event_id, hold.expires_at, False, hold.amount, Kind.EXPIRY, Source.ESTIMATED, detail)


def close_due(tx: Tx, company: Company, holds_max: int = _ALL) -> int:
    """Close the due holds; how many. Reads see those that are left as closed, as they saw all of them."""
    due = due_holds(tx, company, holds_max)
    for hold in due:
        state = _expire(tx, company, hold)
        tx.execute(_CLOSE, (HOLD_STATE_NO[state], company.no, hold.hold_id))
        company.held -= hold.amount
    company.due_at = tx.execute(_NEXT_DUE, (company.no,)).fetchall()[0][0]
    return len(due)


def _expire(tx: Tx, company: Company, hold: DueHold) -> HoldState:
    """Charge the hold if its call was sent. A total that has no room for the charge cannot take it."""
    if not hold.dispatched or not company.has_room_for(hold.amount):
        return HoldState.EXPIRED
    key, at_ms, _, tokens, kind, source, detail, *_ = charge_of(tx, company, hold)
    enter(tx, company, row_of(tx, company, key, at_ms=at_ms, tokens=tokens, kind=kind, source=source, detail=detail))
    return HoldState.CHARGED
