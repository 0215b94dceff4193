"""One hold as a row of the ledger."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from kvot.core.model import Hold, HoldState, NewHold
from kvot.stores.sqlite import labels
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import HOLD_STATES, Key, from_key, to_key


class HoldRow(NamedTuple):
    """The columns of hold."""

    company_no: int
    hold_id: Key
    amount: int
    ttl_ms: int
    dispatched_asked: int
    dispatched: int
    label_set_no: int
    created_at: int
    expires_at: int
    state: int
    closed_at: int | None
    actual: int | None
    settlement: str | None


_FIND = "SELECT * FROM hold WHERE company_no = ? AND hold_id = ?"
_OPEN = """SELECT * FROM hold WHERE company_no = ? AND state = 0 AND expires_at > ?
    ORDER BY expires_at DESC LIMIT ?"""
_TAGGED = """WITH tag AS MATERIALIZED (SELECT unhex(value) FROM json_each(?2))
    SELECT * FROM hold WHERE company_no = ?1 AND hold_id IN (
        SELECT hold_id FROM (SELECT hold_id FROM hold WHERE company_no = ?1 AND created_at > ?3
            ORDER BY created_at DESC LIMIT ?4) WHERE typeof(hold_id) = 'blob' AND substr(hold_id, -5) IN tag
        UNION
        SELECT hold_id FROM (SELECT hold_id FROM hold WHERE company_no = ?1 AND state = 0
            ORDER BY expires_at DESC LIMIT ?4) WHERE typeof(hold_id) = 'blob' AND substr(hold_id, -5) IN tag)
    ORDER BY +created_at DESC"""
"""The inner ones read nothing but an index; the plus keeps the planner from walking all holds in that order."""

_ADD = "INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL, NULL) ON CONFLICT DO NOTHING"


def find(tx: Tx, company: Company, hold_id: str) -> HoldRow | None:
    rows = tx.execute(_FIND, (company.no, to_key(hold_id))).fetchall()
    return HoldRow(*rows[0]) if rows else None


def open_ones(tx: Tx, company: Company, limit: int) -> list[HoldRow]:
    """Those that last longest."""
    rows = tx.execute(_OPEN, (company.no, company.clock, limit)).fetchall()
    return [HoldRow(*row) for row in rows]


def tagged(tx: Tx, company: Company, tags: Sequence[str], after_ms: int, limit: int) -> list[HoldRow]:
    """Those whose ids are UUIDs that end in one of the tags, the last made first."""
    rows = tx.execute(_TAGGED, (company.no, json.dumps(tags), after_ms, limit)).fetchall()
    return [HoldRow(*row) for row in rows]


def get(tx: Tx, company: Company, hold_id: str) -> Hold | None:
    row = find(tx, company, hold_id)
    return None if row is None else to_hold(tx, company, row)


def add(tx: Tx, company: Company, new: NewHold) -> Hold | None:
    """None, and no hold added, if one has the id already.

    Its labels are numbered before that is known, so that a conflicting retry can leave a label set that nothing refers
    to: a row that changes no answer, and that the next use of those labels takes up.
    """
    expires_at = company.clock + new.ttl_ms
    number = labels.number_of(tx, company.no, new[4:])
    asked = (new.amount, new.ttl_ms, int(new.dispatched), int(new.dispatched), number)
    tx.execute(_ADD, (company.no, to_key(new.hold_id), *asked, company.clock, expires_at))
    if not tx.connection.changes():
        return None
    return Hold(*new, company.clock, expires_at, HoldState.OPEN, None, None)


def note_expiry(company: Company, created_at: int, expires_at: int) -> None:
    """Keep the bounds that spare others a search: no open hold is due earlier, none ever lasted longer."""
    company.due_at = expires_at if company.due_at is None else min(company.due_at, expires_at)
    company.hold_span_ms = max(company.hold_span_ms, expires_at - created_at)


def id_of(row: HoldRow) -> str:
    return from_key(row.hold_id)


def as_asked(tx: Tx, company: Company, row: HoldRow) -> NewHold:
    who = labels.labels_of(tx, company.no, row.label_set_no)
    return NewHold(id_of(row), row.amount, row.ttl_ms, bool(row.dispatched_asked), *who)


def to_hold(tx: Tx, company: Company, row: HoldRow) -> Hold:
    who = labels.labels_of(tx, company.no, row.label_set_no)
    asked = (id_of(row), row.amount, row.ttl_ms, bool(row.dispatched), *who)
    state = HOLD_STATES[row.state]
    return Hold(*asked, row.created_at, row.expires_at, state, row.closed_at, row.actual)
