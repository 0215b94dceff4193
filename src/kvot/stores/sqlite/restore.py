"""Writing a whole database from its parts: see `kvot.core.archive`.

Events, holds and budgets are written as they come; when a company is complete its chain, sidecar, rollup and totals
are worked out from them in SQL. All events up to the clock stand in the chain then, whatever order they came in.
"""

from pathlib import Path
from typing import Self

import apsw

from kvot.core.archive import (
    Audit,
    Events,
    Holds,
    KeptHold,
    Keys,
    LedgerEnd,
    LedgerStart,
    Part,
    SealedKeys,
    SecretCheck,
    StoredReplies,
)
from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import Event
from kvot.core.window import MS_PER_HOUR, SHIFTS
from kvot.stores.sqlite import audit, entry, keys, labels, provider_keys, stored_replies, unfinished
from kvot.stores.sqlite.archive import told
from kvot.stores.sqlite.connection import WRITER_PATIENCE_MS, Row, Tx, check_version, connect
from kvot.stores.sqlite.encoding import HOLD_STATE_NO, KIND_NO, SOURCE_NO, to_guid, to_key
from kvot.stores.sqlite.holds import to_text
from kvot.stores.sqlite.lock import DatabaseLock
from kvot.stores.sqlite.schema import known_steps, migrate
from kvot.stores.sqlite.store import only_name

_ADD_COMPANY = """INSERT INTO company
    (company_id, company_no, clock, floor_at, floor_cum, head_cum, in_doubt, token_limit, window_days)
    VALUES (?1, (SELECT coalesce(max(company_no), 0) + 1 FROM company), ?2, ?3, ?4, ?4, ?5, ?6, ?7)
    RETURNING company_no"""
_ADD_BUDGET = "INSERT INTO budget VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_HOLD = "INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_SUM_POINTS = """INSERT INTO point SELECT ?1, at, ?2 + sum(tokens) OVER (ORDER BY at) FROM (
    SELECT at, sum(tokens) AS tokens FROM event WHERE company_no = ?1 AND at <= ?3 GROUP BY at
    HAVING sum(tokens) <> 0)"""
_SUM_LATE = """INSERT INTO late SELECT ?1, ?2, at >> ?3, sum(tokens) FROM event
    WHERE company_no = ?1 AND at > ?4 AND tokens <> 0 GROUP BY at >> ?3"""
_SUM_ROLLUP = f"""INSERT INTO rollup SELECT ?1, at / {MS_PER_HOUR}, label_set_no, source, count(*), sum(tokens),
    sum(coalesce(input_tokens, 0)), sum(coalesce(output_tokens, 0))
    FROM event WHERE company_no = ?1 GROUP BY 2, 3, 4"""
_SUM_UP = """UPDATE company SET
    head_at = coalesce((SELECT max(at) FROM point WHERE company_no = ?1), 0),
    head_cum = coalesce((SELECT cum FROM point WHERE company_no = ?1 ORDER BY at DESC LIMIT 1), floor_cum),
    late_events = (SELECT count(*) FROM event WHERE company_no = ?1 AND at > ?2 AND tokens <> 0),
    late_tokens = (SELECT coalesce(sum(tokens), 0) FROM event WHERE company_no = ?1 AND at > ?2),
    held = (SELECT coalesce(sum(amount), 0) FROM hold WHERE company_no = ?1 AND state = 0),
    due_at = (SELECT min(expires_at) FROM hold WHERE company_no = ?1 AND state = 0),
    hold_span_ms = (SELECT coalesce(max(expires_at - created_at), 0) FROM hold WHERE company_no = ?1)
    WHERE company_no = ?1"""


class SqliteSink:
    """`CopySink` of a database file, which it holds against every other process that would write to it.

    A file that it made is removed again if nothing was committed to it.
    """

    def __init__(
        self, path: Path, lock: DatabaseLock, connection: apsw.Connection, rules: Rules, *, is_new: bool
    ) -> None:
        self._path = path
        self._is_empty_and_ours = is_new
        self._lock = lock
        self._tx = Tx(connection, rules)
        self._no = 0
        self._start: LedgerStart | None = None

    @classmethod
    def open(cls, path: Path, rules: Rules) -> Self:
        """Raises StoreUnavailable, saying what to do, if the database cannot be used."""
        check_version(apsw.sqlite_lib_version())
        if not path.parent.is_dir():
            raise StoreUnavailable(f"{path} cannot be made: there is no folder {path.parent}. Make the folder first.")
        path = only_name(path)
        lock = DatabaseLock(path)
        is_new = not path.exists()
        try:
            with told(path):
                connection = connect(path, patience_ms=WRITER_PATIENCE_MS)
                migrate(connection, path, known_steps())
                connection.execute("PRAGMA temp_store = FILE")  # to sort the events of a great company
                return cls(path, lock, connection, rules, is_new=is_new)
        except BaseException:
            lock.release()
            raise

    async def write(self, part: Part) -> None:
        with told(self._path):
            self._need_transaction()
            self._write(part)

    def _need_transaction(self) -> None:
        if not self._tx.connection.in_transaction:
            self._tx.execute("BEGIN IMMEDIATE")

    def _write(self, part: Part) -> None:
        match part:
            case LedgerStart():
                self._begin(part)
            case Events(events):
                self._tx.executemany(entry.INSERT, [self._of_event(event) for event in events])
            case Holds(holds):
                self._tx.executemany(_ADD_HOLD, [self._of_hold(kept) for kept in holds])
            case StoredReplies(replies):
                self._tx.executemany(stored_replies.SET, [(self._no, *each) for each in replies])
            case LedgerEnd():
                self._sum_up()
            case SecretCheck(check):
                keys.set_secret(self._tx, check)
            case Keys(added):
                self._tx.executemany(keys.ADD, [keys.to_row(key) for key in added])
            case SealedKeys(sealed):
                self._tx.executemany(provider_keys.SET, [provider_keys.to_row(key) for key in sealed])
            case Audit(lines):
                for line in lines:
                    audit.append(self._tx, line)

    async def mark_unfinished(self) -> None:
        with told(self._path):
            self._need_transaction()
            unfinished.mark(self._tx)

    async def mark_finished(self) -> None:
        with told(self._path):
            self._need_transaction()
            unfinished.unmark(self._tx)

    async def commit(self) -> None:
        with told(self._path):
            if self._tx.connection.in_transaction:
                self._tx.execute("COMMIT")
        self._is_empty_and_ours = False

    async def close(self) -> None:
        try:
            with told(self._path):
                self._tx.connection.close()  # what was not committed is undone
            if self._is_empty_and_ours:
                self._remove()
        finally:
            self._lock.release()

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._lock.remove()

    # -- one company ---------------------------------------------------------------------------------------------

    def _begin(self, start: LedgerStart) -> None:
        budget = start.changes[-1].budget if start.changes else (None, None)
        floor = (start.floor_at_ms, start.forgotten_tokens)
        values = (to_guid(start.company_id), start.clock_ms, *floor, int(start.in_doubt), *budget)
        self._start, self._no = start, self._tx.number(_ADD_COMPANY, values)
        lines = [
            (self._no, seq, change.effective_at_ms, *change.budget, change.actor, change.reason)
            for seq, change in enumerate(start.changes, 1)
        ]
        self._tx.executemany(_ADD_BUDGET, lines)

    def _sum_up(self) -> None:
        assert self._start is not None, "a ledger that ends has begun"
        clock_ms = self._start.clock_ms
        self._tx.execute(_SUM_POINTS, (self._no, self._start.forgotten_tokens, clock_ms))
        for level, shift in enumerate(SHIFTS):
            self._tx.execute(_SUM_LATE, (self._no, level, shift, clock_ms))
        self._tx.execute(_SUM_ROLLUP, (self._no,))
        self._tx.execute(_SUM_UP, (self._no, clock_ms))

    def _of_event(self, event: Event) -> entry.EventRow:
        number = labels.number_of(self._tx, self._no, event.detail[:4])
        what = (int(event.at_given), KIND_NO[event.kind], SOURCE_NO[event.source], number)
        ref = None if event.ref is None else to_key(event.ref)
        key = to_key(event.event_id)
        return (self._no, key, event.at_ms, event.tokens, *what, *event.detail[4:], ref, event.reason, event.receipt)

    def _of_hold(self, kept: KeptHold) -> Row:
        hold = kept.hold
        who = (hold.provider, hold.model, hold.user, hold.feature)
        asked = (hold.amount, hold.ttl_ms, int(kept.dispatched_asked), int(hold.dispatched))
        number = labels.number_of(self._tx, self._no, who)
        times = (hold.created_at_ms, hold.expires_at_ms, HOLD_STATE_NO[hold.state], hold.closed_at_ms)
        settlement = None if kept.settlement is None else to_text(kept.settlement)
        return (self._no, to_key(hold.hold_id), *asked, number, *times, hold.actual, settlement)
