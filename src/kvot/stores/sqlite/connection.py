"""One SQLite connection: opened as the ledger needs it, its errors told as StoreUnavailable.

No apsw error leaves this package: every message names the file and what to do next.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import EllipsisType
from typing import Any

import apsw

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable

PAGE_SIZE_BYTES = 4_096
CACHE_KIB = 16_384
"""Of each connection: enough for the hot pages of a million events, small enough for a small machine."""

WRITER_PATIENCE_MS = 2_000
READER_PATIENCE_MS = 100
"""How long to wait for another program's lock. Reads run on the event loop, which must not stand still."""

WAL_BYTES_MAX = 67_108_864
"""What a burst may leave of the write-ahead log on disk once it is checkpointed."""

WAL_PAGES = 4_000
"""16 MiB, after which the log goes into the database: a page that many batches change is then copied there once."""

_FIRST_WAL, _FIRST_MENDED = (3, 7, 0), (3, 51, 3)

FATAL = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)
"""After these nothing that this process believes about the file is certain."""

TRANSACTION_LOST = (
    *FATAL,
    apsw.FullError,
    apsw.NoMemError,
    apsw.ReadOnlyError,
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.InterruptError,
    apsw.ProtocolError,
)
"""After these the whole transaction is undone, not one savepoint."""

ROWS_PER_STATEMENT = 50
"""To begin and end a statement takes half as long as to insert a row: so many share it, and few are left over."""

Row = tuple[Any, ...]
Column = Sequence[Any] | int | None
"""What rows have in one place: a value for each, or one number (or NULL) for all."""


class Tx:
    """What an operation works with: one connection inside a transaction, and the rules."""

    __slots__ = ("companies", "connection", "execute", "executemany", "label_set_nos", "label_sets", "lines", "rules")

    def __init__(self, connection: apsw.Connection, rules: Rules) -> None:
        self.connection = connection
        self.rules = rules
        # Any: the tables are STRICT, so a row's types are those of its columns, which no annotation can follow.
        self.execute: Callable[..., Any] = connection.execute
        self.executemany: Callable[..., Any] = connection.executemany
        self.companies: dict[bytes, Any] = {}
        """Companies as the transaction's operations have left them, by GUID: not written yet, see flush.py.

        Any for `company.Company`, whose module imports this one."""
        self.lines: dict[tuple[int, int, int, int], list[int]] = {}
        """What they have added to the rollup: not written yet either.

        The key is `lines.Key`, spelt out since its module imports this one."""
        self.label_set_nos: dict[tuple[int, str | None, str | None, str | None, str | None], int] = {}
        self.label_sets: dict[tuple[int, int], tuple[str | None, str | None, str | None, str | None]] = {}

    def forget(self) -> None:
        """What was learned in a transaction that is undone may not be so."""
        self.companies.clear()
        self.lines.clear()
        self.label_set_nos.clear()
        self.label_sets.clear()

    def insert(self, table: str, columns: Sequence[Column], on_conflict: str = "") -> None:
        """Rows by column, many to a statement. What is the same for all is written into it: only what differs is bound.

        When one fails those before it stay: whoever inserts undoes more than this.
        """
        same = tuple(column if column is None or isinstance(column, int) else ... for column in columns)
        bound = [column for column in columns if not (column is None or isinstance(column, int))]
        width, count = len(bound), len(bound[0])
        values: list[Any] = [None] * (width * count)
        for place, column in enumerate(bound):
            values[place::width] = column
        end = (count - count % ROWS_PER_STATEMENT) * width
        if end:
            many = _insert(table, same, ROWS_PER_STATEMENT, on_conflict)
            portion = ROWS_PER_STATEMENT * width
            for first in range(0, end, portion):
                self.execute(many, values[first : first + portion])
        if rest := count % ROWS_PER_STATEMENT:
            rows = zip(*(column[-rest:] for column in bound), strict=True)
            self.executemany(_insert(table, same, 1, on_conflict), rows)

    def row(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """The only row, or None. The statement is run to its end, so that it holds no snapshot."""
        rows = self.execute(sql, values).fetchall()
        return rows[0] if rows else None

    def number(self, sql: str, values: Sequence[object] = ()) -> int:
        """The only value of the only row; 0 for NULL or none."""
        rows = self.execute(sql, values).fetchall()
        return (rows[0][0] or 0) if rows else 0


@cache
def _insert(table: str, same: tuple[int | EllipsisType | None, ...], rows: int, on_conflict: str) -> str:
    """OR FAIL: to be able to undo itself alone a statement would keep a journal, whose end SQLite seeks slowly."""
    row = ", ".join("?" if each is ... else "NULL" if each is None else str(each) for each in same)
    return f"INSERT OR FAIL INTO {table} VALUES {', '.join([f'({row})'] * rows)} {on_conflict}"


def check_version(version: str) -> None:
    """Refuse an SQLite that can corrupt a database when its write-ahead log is reset (sqlite.org/wal.html)."""
    numbers = tuple(int(part) for part in version.split("."))
    if _FIRST_WAL <= numbers < _FIRST_MENDED:
        raise StoreUnavailable(
            f"SQLite {version} can corrupt a database in WAL mode (3.7.0 to 3.51.2 do). Install apsw 3.51.3 or later."
        )


def connect(path: Path, *, patience_ms: int) -> apsw.Connection:
    """Open the database, making it if it is not there. Raises StoreUnavailable."""
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(patience_ms)
        _set_up(connection)
    except apsw.Error as error:
        raise unavailable(path, error) from error
    return connection


def _set_up(connection: apsw.Connection) -> None:
    # Otherwise a statement with a range is planned anew for every value that is bound to it: three times the cost.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    if connection.readonly("main"):
        raise apsw.ReadOnlyError("attempt to write a readonly database")
    if connection.pragma("journal_mode", "wal") != "wal":
        raise apsw.CantOpenError("the file system does not support a write-ahead log")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")


def unavailable(path: Path, error: apsw.Error) -> StoreUnavailable:
    """What an SQLite error means for whoever runs Kvot, and what to do next."""
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return StoreUnavailable.of(str(path), advice)
    return StoreUnavailable(f"{path} could not be used: {error}")  # SQLite's own words may name anything


_ADVICE: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "cannot grow: the disk is full. Make room; nothing that was acknowledged is lost."),
    (apsw.ReadOnlyError, "is read-only. Let the user that runs Kvot write to the file and its folder."),
    (apsw.BusyError, "is locked by another program. End what has it open; only Kvot may write to it."),
    (apsw.LockedError, "is locked by another program. End what has it open; only Kvot may write to it."),
    (apsw.NotADBError, "is not a database. Choose another file, or restore it from a backup."),
    (apsw.CorruptError, "is corrupt. Stop Kvot and restore it from a backup."),
    (apsw.PermissionsError, "may not be opened. Let the user that runs Kvot read and write it."),
    (apsw.CantOpenError, "cannot be opened. Check that its folder exists and that Kvot's user may write there."),
    (apsw.IOError, "could not be read or written: the disk failed. Check the disk, then start Kvot again."),
)
