"""One snapshot of a database file, read for moving it elsewhere: see `kvot.core.archive`.

Read on a connection that can only read, beside a server that goes on writing: SQLite's log keeps what the snapshot
needs, so that file grows for as long as this is open. No lock of Kvot's is taken, since nothing is written.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import apsw

from kvot.core.archive import (
    PART_ROWS_MAX,
    Audit,
    AuditLine,
    Events,
    Holds,
    KeptHold,
    Keys,
    LedgerPart,
    LedgerStart,
    SealedKeys,
    SecretCheck,
    StoredReplies,
)
from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import CallDetail, Event, Hold, Settlement, Verification
from kvot.stores.sqlite import audit, budgets, keeping, keys, provider_keys, stored_replies, unfinished, verify
from kvot.stores.sqlite.begin import charge_of, due_holds
from kvot.stores.sqlite.company import Company, load
from kvot.stores.sqlite.connection import CACHE_KIB, WRITER_PATIENCE_MS, Row, Tx, check_version, unavailable
from kvot.stores.sqlite.encoding import HOLD_STATES, KINDS, SOURCES, Key, from_guid, from_key, to_key
from kvot.stores.sqlite.schema import check_current, known_steps
from kvot.stores.sqlite.sweep import is_forgotten
from kvot.stores.unfinished import unfinished_copy

T = TypeVar("T")

_LABELS = """LEFT JOIN label_set
    ON label_set.company_no = kept.company_no AND label_set.label_set_no = kept.label_set_no"""
_EVENT = f"""SELECT event_id, at, at_given, tokens, kind, source, provider, model, user, feature,
    input_tokens, output_tokens, cached_tokens, reasoning_tokens, ref, reason, receipt
    FROM event AS kept {_LABELS} WHERE kept.company_no = ?"""
_EVENTS = f"{_EVENT} AND kept.at > ?"
_LATEST = """SELECT event_id FROM event WHERE company_no = ? AND at BETWEEN ? AND ?
    ORDER BY at DESC, event_id DESC LIMIT ?"""
_HOLDS = f"""SELECT hold_id, amount, ttl_ms, dispatched, provider, model, user, feature, created_at, expires_at, state,
    closed_at, actual, dispatched_asked, settlement
    FROM hold AS kept {_LABELS} WHERE kept.company_no = ?"""
_KEYS = f"SELECT {keys.COLUMNS} FROM api_key ORDER BY created_at, seq"
_PROVIDER_KEYS = f"SELECT {provider_keys.COLUMNS} FROM provider_key ORDER BY company_id, provider"
_AUDIT = "SELECT at, actor, action, company_id, subject, detail FROM audit ORDER BY seq"


class SqliteSource:
    """`Source` of a database file. Everything is read in one transaction."""

    def __init__(self, path: Path, connection: apsw.Connection, rules: Rules) -> None:
        self._path = path
        self._tx = Tx(connection, rules)

    @classmethod
    def open(cls, path: Path, rules: Rules) -> Self:
        """Raises StoreUnavailable if there is no such database, or not one of this version."""
        check_version(apsw.sqlite_lib_version())
        if not path.exists():
            raise StoreUnavailable(f"{path} does not exist.")
        with told(path):
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                connection.set_busy_timeout(WRITER_PATIENCE_MS)
                connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("BEGIN")
                check_current(connection, path, known_steps())  # the first read: from here on the snapshot holds
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, rules)

    async def need_whole(self) -> None:
        with told(self._path):
            is_marked = unfinished.is_marked(self._tx)
        if is_marked:
            raise unfinished_copy(str(self._path))

    async def companies(self) -> list[str]:
        with told(self._path):
            return keeping.companies(self._tx)

    async def ledger(self, company_id: str) -> AsyncIterator[LedgerPart]:
        with told(self._path):
            company = load(self._tx, company_id, 0)
            forgotten = company.floor_cum + company.floor_late
            changes = budgets.history(self._tx, company)
            yield LedgerStart(
                company_id, company.clock, company.floor_at, forgotten, bool(company.in_doubt), tuple(changes)
            )
            for events in self._parts(_EVENTS, _to_event, company.no, company.floor_at):
                yield Events(events)
            for holds in self._parts(_HOLDS, _to_hold, company.no):
                yield Holds([kept for kept in holds if not self._is_forgotten(company, kept.hold)])
            for replies in self._parts(stored_replies.LIST, stored_replies.from_row, company.no):
                yield StoredReplies(replies)

    async def latest(
        self, company_id: str, *, since_ms: int, until_ms: int, events_max: int, now_ms: int
    ) -> list[Event]:
        with told(self._path):
            company = load(self._tx, company_id, now_ms)
            first_ms = max(since_ms, company.floor_at + 1)
            keys_ = self._tx.execute(_LATEST, (company.no, first_ms, until_ms, events_max)).fetchall()
            rows = (self._tx.row(f"{_EVENT} AND event_id = ?", (company.no, key)) for (key,) in keys_)
            events = [_to_event(row) for row in rows if row is not None]
            due = (charge_of(self._tx, company, hold) for hold in due_holds(self._tx, company) if hold.dispatched)
            charges = [charge for charge in due if first_ms <= charge.at_ms <= until_ms]
        return sorted([*events, *charges], key=_place, reverse=True)[:events_max]

    async def shared(self) -> AsyncIterator[SecretCheck | Keys | SealedKeys | Audit]:
        with told(self._path):
            if check := keys.secret_check(self._tx):
                yield SecretCheck(check)
            for each in self._parts(_KEYS, keys.from_row):
                yield Keys(each)
            for sealed in self._parts(_PROVIDER_KEYS, provider_keys.from_row):
                yield SealedKeys(sealed)
            for lines in self._parts(_AUDIT, _to_line):
                yield Audit(lines)

    async def audit_holds(self) -> bool:
        with told(self._path):
            return audit.first_break(self._tx) is None

    async def verify(self, company_id: str) -> Verification:
        with told(self._path):
            found, _ = verify.verify(self._tx, company_id, 0)
            return found

    async def close(self) -> None:
        self._tx.connection.close()

    def _is_forgotten(self, company: Company, hold: Hold) -> bool:
        """A prune that has not come to its end may not have deleted it yet."""
        times = (hold.created_at_ms, hold.closed_at_ms)
        return is_forgotten(self._tx, company, company.floor_at, to_key(hold.hold_id), *times)

    def _parts(self, sql: str, read: Callable[[Row], T], *values: int) -> Iterator[list[T]]:
        rows: Iterable[Row] = iter(self._tx.execute(sql, values))
        while part := [read(row) for row in islice(rows, PART_ROWS_MAX)]:
            yield part


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell an SQLite error as what it means for whoever runs Kvot."""
    try:
        yield
    except apsw.Error as error:
        raise unavailable(path, error) from error


def _place(event: Event) -> tuple[int, bool, Key]:
    """Where an event stands among others, as in `_LATEST`: SQLite has every text before every blob."""
    key = to_key(event.event_id)
    return event.at_ms, isinstance(key, bytes), key


def _to_event(row: Row) -> Event:
    key, at_ms, at_given, tokens, kind, source, *detail, ref, reason, receipt = row
    return Event(
        from_key(key),
        at_ms,
        bool(at_given),
        tokens,
        KINDS[kind],
        SOURCES[source],
        CallDetail(*detail),
        None if ref is None else from_key(ref),
        reason,
        receipt,
    )


def _to_hold(row: Row) -> KeptHold:
    key, amount, ttl_ms, dispatched, *middle, state, closed_at, actual, dispatched_asked, settlement = row
    asked = (from_key(key), amount, ttl_ms, bool(dispatched))
    hold = Hold(*asked, *middle, HOLD_STATES[state], closed_at, actual)  # type: ignore[call-arg]
    return KeptHold(hold, bool(dispatched_asked), None if settlement is None else _to_settlement(settlement))


def _to_settlement(text: str) -> Settlement:
    """What `holds.to_text` wrote."""
    tokens, source, *detail = json.loads(text)
    return Settlement(tokens, SOURCES[source], CallDetail(*detail))


def _to_line(row: Row) -> AuditLine:
    at_ms, actor, action, guid, subject, detail = row
    return AuditLine(at_ms, actor, action, None if guid is None else from_guid(guid), subject, detail)
