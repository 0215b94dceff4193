"""Deletes what lies at or below a company's floor, piece by piece, so that other writes get their turn between.

The floor is raised at once and first (`keeping.raise_floor`). From then on nothing that is counted, proved or moved
reaches below it, so the rows there can go at leisure, in any order but one: a hold goes together with its own events,
or its id could be taken a second time while they are there. A row in `sweep` says that some may be left, so that a
prune that was ended on the way is finished by the next one.
"""

from typing import Any, NamedTuple

from kvot.core.store import late_settlement_event_id, settlement_event_id
from kvot.core.window import SHIFTS, hour_of
from kvot.stores.sqlite.company import Company, load
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import Key, from_key, to_key
from kvot.stores.sqlite.entry import find
from kvot.stores.sqlite.flush import flush

SWEEP_ROWS = 5_000
"""Looked at in one piece: some ten milliseconds, for which another write may have to wait."""

_FIRST: Any = 0
"""Sorts before every id: numbers come before texts and bytes."""


class Place(NamedTuple):
    """Where a sweep goes on: in which of its tables, and after which row of it."""

    floor_at: int
    table: int = 0
    after: Any = _FIRST


class Swept(NamedTuple):
    """What one piece did. `next` None: all that lay at or below the floor is gone."""

    events: int
    next: Place | None


def sweep(tx: Tx, company_id: str, place: Place) -> Swept:
    """Do one piece. To be repeated until there is no next one."""
    flush(tx)
    company = load(tx, company_id, 0)
    events, after = _TABLES[place.table](tx, company, place)
    if after is not None:
        return Swept(events, place._replace(after=after))
    if place.table + 1 < len(_TABLES):
        return Swept(events, Place(place.floor_at, place.table + 1))
    tx.execute("DELETE FROM sweep WHERE company_no = ? AND floor_at = ?", (company.no, place.floor_at))
    return Swept(events, None)


def begin_sweep(tx: Tx, company: Company) -> Place | None:
    """Where to begin; None when nothing below the company's floor is left."""
    rows = tx.execute("SELECT floor_at FROM sweep WHERE company_no = ?", (company.no,)).fetchall()
    return Place(rows[0][0]) if rows else None


# -- by table: how many events went, and after which row to go on (None: the table is done) --------------------------

Done = tuple[int, Any]

_HOLDS = f"""SELECT hold_id, created_at, closed_at FROM hold WHERE company_no = ? AND hold_id > ?
    ORDER BY hold_id LIMIT {SWEEP_ROWS}"""
_DELETE_HOLD = "DELETE FROM hold WHERE company_no = ? AND hold_id = ?"
_DELETE_EVENT = "DELETE FROM event WHERE company_no = ? AND event_id = ? AND at <= ?"
_LAST_EVENT = f"""SELECT event_id FROM event WHERE company_no = ? AND event_id > ?
    ORDER BY event_id LIMIT 1 OFFSET {SWEEP_ROWS - 1}"""
_DELETE_EVENTS = "DELETE FROM event WHERE company_no = ? AND event_id > ? AND at <= ?"
_DELETE_EVENTS_THROUGH = f"{_DELETE_EVENTS} AND event_id <= ?"


def _holds(tx: Tx, company: Company, place: Place) -> Done:
    rows = tx.execute(_HOLDS, (company.no, place.after)).fetchall()
    forgotten = [key for key, *times in rows if is_forgotten(tx, company, place.floor_at, key, *times)]
    events = sum(_forget_hold(tx, company, place.floor_at, key) for key in forgotten)
    return events, rows[-1][0] if len(rows) == SWEEP_ROWS else None


def is_forgotten(tx: Tx, company: Company, floor_at: int, key: Key, created_at: int, closed_at: int | None) -> bool:
    """A hold is remembered as long as its event is."""
    if created_at > floor_at or closed_at is None or closed_at > floor_at:
        return False
    event = find(tx, company, settlement_event_id(from_key(key)))
    return event is None or event[2] <= floor_at


def _forget_hold(tx: Tx, company: Company, floor_at: int, key: Key) -> int:
    tx.execute(_DELETE_HOLD, (company.no, key))
    hold_id, events = from_key(key), 0
    for event_id in (settlement_event_id(hold_id), late_settlement_event_id(hold_id)):
        tx.execute(_DELETE_EVENT, (company.no, to_key(event_id), floor_at))
        events += tx.connection.changes()
    return events


def _events(tx: Tx, company: Company, place: Place) -> Done:
    rows = tx.execute(_LAST_EVENT, (company.no, place.after)).fetchall()
    values = (company.no, place.after, place.floor_at)
    if rows:
        tx.execute(_DELETE_EVENTS_THROUGH, (*values, rows[0][0]))
    else:
        tx.execute(_DELETE_EVENTS, values)
    return tx.connection.changes(), rows[0][0] if rows else None


def _points(tx: Tx, company: Company, place: Place) -> Done:
    """The oldest first: the last point that is left below the floor has the total at the floor."""
    return _oldest(tx, "point", "company_no = ?1", "at", company, place.floor_at)


def _late(tx: Tx, company: Company, place: Place) -> Done:
    """Slots lie whole above or below a floor, so on every level some number of them is the last below."""
    level = place.after
    where = f"company_no = ?1 AND level = {level}"
    _, after = _oldest(tx, "late", where, "slot", company, place.floor_at >> SHIFTS[level])
    if after is not None:
        return 0, level
    return 0, level + 1 if level + 1 < len(SHIFTS) else None


def _rollup(tx: Tx, company: Company, place: Place) -> Done:
    """Whole hours."""
    return _oldest(tx, "rollup", "company_no = ?1", "hour", company, hour_of(place.floor_at))


def _oldest(tx: Tx, table: str, where: str, key: str, company: Company, through: int) -> Done:
    """Delete the rows with the lowest keys. They are gone then, so the next piece begins where this one did."""
    last = f"""SELECT {key} FROM {table} WHERE {where} AND {key} <= ?2
        ORDER BY {key} LIMIT 1 OFFSET {SWEEP_ROWS - 1}"""
    rows = tx.execute(last, (company.no, through)).fetchall()
    end = rows[0][0] if rows else through
    tx.execute(f"DELETE FROM {table} WHERE {where} AND {key} <= ?2", (company.no, end))
    return 0, _FIRST if rows else None


_TABLES = (_holds, _events, _points, _late, _rollup)
