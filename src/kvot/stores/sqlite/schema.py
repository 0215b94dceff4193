"""Brings a database to the schema that this version knows: numbered steps, each applied once, never changed.

A database that a newer Kvot has made is refused, not guessed at.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from kvot.core.errors import StoreUnavailable

APPLICATION_ID = 0x4B766F74
"""Marks the file as Kvot's ("Kvot" in ASCII), so that no other program's database is written to by mistake."""

_CREATE = """CREATE TABLE IF NOT EXISTS schema_version(
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT"""


class Step(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_steps() -> list[Step]:
    folder = files("kvot.stores") / "sql" / "sqlite"
    steps = [_read(entry.name, entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted(steps)


def _read(name: str, sql: str) -> Step:
    return Step(int(name.partition("_")[0]), name.removesuffix(".sql"), sql)


def migrate(connection: apsw.Connection, path: Path, steps: list[Step]) -> None:
    """Apply the steps that the database lacks, all of them or none. Raises StoreUnavailable, and apsw errors."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _check_owner(connection, path)
        applied = _applied(connection)
        _check_applied(path, applied, steps)
        for step in steps[len(applied) :]:
            connection.execute(step.sql)
            values = (step.version, step.name, step.checksum)
            connection.execute("INSERT INTO schema_version VALUES (?, ?, ?)", values)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def check_current(connection: apsw.Connection, path: Path, steps: list[Step]) -> None:
    """For a connection that may only read: raise StoreUnavailable unless the database is Kvot's and up to date."""
    if connection.pragma("application_id") != APPLICATION_ID:
        raise StoreUnavailable(f"{path} is a database of another program. Choose another file.")
    applied = _applied(connection)
    _check_applied(path, applied, steps)
    if len(applied) < len(steps):
        raise StoreUnavailable(f"{path} was made by an older Kvot. Start Kvot on it once: that brings it up to date.")


def _check_owner(connection: apsw.Connection, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]
    if tables and connection.pragma("application_id") != APPLICATION_ID:
        raise StoreUnavailable(f"{path} is a database of another program. Choose another file.")
    if not tables:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(_CREATE)


def _applied(connection: apsw.Connection) -> list[tuple[int, str, str]]:
    applied: list[Any] = connection.execute("SELECT * FROM schema_version ORDER BY version").fetchall()
    return applied


def _check_applied(path: Path, applied: list[tuple[int, str, str]], steps: list[Step]) -> None:
    if len(applied) > len(steps):
        newest = applied[-1][1]
        raise StoreUnavailable(f"{path} was made by a newer Kvot (schema {newest}). Upgrade Kvot, or restore a backup.")
    for (version, name, checksum), step in zip(applied, steps, strict=False):
        if (version, checksum) != (step.version, step.checksum):
            raise StoreUnavailable(f"{path} has another schema step {name} than this Kvot knows. Restore a backup.")
