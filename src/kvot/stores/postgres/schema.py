"""Brings a database to the schema that this version knows: numbered steps, each applied once, never changed.

Everything lies in a schema of its own, `kvot`. A database that is behind, ahead or otherwise than this version knows is
refused with what to do, not guessed at.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.errors import DRIVER_ERRORS, NewerSchema, connecting, told

VERSION_MIN = 140_000
"""PostgreSQL 14: the functions assign to fields of fields."""

MIGRATION_LOCK = 0x4B766F74
"""The advisory lock of migrations ("Kvot" in ASCII): two that start at once follow one another."""

CONNECT_TIMEOUT_S = 5.0

_BEGIN = """CREATE SCHEMA IF NOT EXISTS kvot;
CREATE TABLE IF NOT EXISTS kvot.schema_version(
    version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL)"""
_APPLIED = "SELECT version, name, checksum FROM kvot.schema_version ORDER BY version"
_FOREIGN = """SELECT to_regclass('kvot.schema_version') IS NULL
    AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'kvot')"""
_SYNCS = "SELECT current_setting('fsync') = 'on'"
_HAS_CITUS = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create_distributed_table')"
_STATE = """SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
    current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
    current_setting('synchronous_commit') = 'off' AS forgets"""


class Step(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def known_steps() -> tuple[Step, ...]:
    folder = files("kvot.stores") / "sql" / "postgres"
    names = [entry.name for entry in folder.iterdir() if entry.name[0].isdigit() and entry.name.endswith(".sql")]
    return tuple(_read(name, (folder / name).read_text(encoding="utf-8")) for name in sorted(names))


def _read(name: str, sql: str) -> Step:
    return Step(int(name.partition("_")[0]), name.removesuffix(".sql"), sql)


def citus_sql() -> str:
    return (files("kvot.stores") / "sql" / "postgres" / "citus.sql").read_text(encoding="utf-8")


async def migrate(url: str, *, citus: bool = False, steps: Sequence[Step] | None = None) -> list[str]:
    """Apply the steps that a database lacks, all of them or none; their names.

    With `citus` the tables are then distributed by company over the workers of a Citus coordinator. Raises
    StoreUnavailable, saying what to do.
    """
    address = Address.parse(url)
    try:
        with connecting(address.shown):
            connection = await asyncpg.connect(address.dsn, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
        try:
            # Where the role has another isolation, whoever waited for the lock would see what was there before.
            async with connection.transaction(isolation="read_committed"):
                return await _migrate(connection, address.shown, steps or known_steps(), citus)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
    except (*DRIVER_ERRORS, ValueError) as error:
        raise told(address.shown, error) from error


async def server_version(url: str) -> tuple[str, bool]:
    """As PostgreSQL numbers its releases, `16.4`; and whether a crash of its machine leaves whole what it has written.
    Raises StoreUnavailable."""
    address = Address.parse(url)
    try:
        with connecting(address.shown):
            connection = await asyncpg.connect(address.dsn, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
        try:
            version: str = connection.get_settings().server_version  # a packager's words may follow
            syncs: bool = await connection.fetchval(_SYNCS)
            return version.partition(" ")[0], syncs
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
    except (*DRIVER_ERRORS, ValueError) as error:
        raise told(address.shown, error) from error


async def _migrate(connection: asyncpg.Connection, shown: str, steps: Sequence[Step], citus: bool) -> list[str]:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
    await _check_server(connection, shown)
    if citus and not await connection.fetchval(_HAS_CITUS):
        advice = "run CREATE EXTENSION citus there, or leave --citus out."
        raise StoreUnavailable(f"{shown} is no Citus coordinator: {advice}")
    if await connection.fetchval(_FOREIGN):
        raise StoreUnavailable(f"{shown} has a schema named kvot that another program made. Choose another database.")
    await connection.execute(_BEGIN)
    applied = [tuple(row) for row in await connection.fetch(_APPLIED)]
    _check_applied(shown, applied, steps)
    missing = steps[len(applied) :]
    for step in missing:
        await connection.execute(step.sql)
        await connection.execute("INSERT INTO kvot.schema_version VALUES ($1, $2, $3)", *step[:2], step.checksum)
    if citus:
        await connection.execute(citus_sql())
    return [step.name for step in missing]


async def check(connection: asyncpg.Connection, shown: str) -> None:
    """Raise StoreUnavailable unless the database can be written and has exactly the schema that this version knows."""
    await _check_server(connection, shown)
    await check_steps(connection, shown)


async def check_steps(connection: asyncpg.Connection, shown: str) -> None:
    """The schema alone: a replica can be read, too."""
    applied = [tuple(row) for row in await connection.fetch(_APPLIED)]
    steps = known_steps()
    _check_applied(shown, applied, steps)
    if len(applied) < len(steps):
        lacking = ", ".join(step.name for step in steps[len(applied) :])
        raise _unfit(shown, f"lacks {lacking}. Run: kvot migrate --database URL")


async def _check_server(connection: asyncpg.Connection, shown: str) -> None:
    state = await connection.fetchrow(_STATE)
    if state["read_only"]:
        raise _unfit(shown, "is read-only: a replica, most likely. Name the primary in the database's URL.")
    if state["version"] < VERSION_MIN:
        raise _unfit(shown, f"is PostgreSQL {state['version'] // 10_000}; Kvot needs 14 or later.")
    if state["forgets"]:
        raise _unfit(shown, "may lose what it has acknowledged. Set synchronous_commit to on.")
    if state["encoding"] != "UTF8":
        raise _unfit(shown, f"is encoded in {state['encoding']}. Make it again: createdb --encoding UTF8")


def _check_applied(shown: str, applied: list[tuple[int, str, str]], steps: Sequence[Step]) -> None:
    for (version, name, checksum), step in zip(applied, steps, strict=False):
        if (version, checksum) != (step.version, step.checksum):
            raise _unfit(shown, f"has another schema step {name} than this Kvot knows. Restore a backup.")
    if len(applied) > len(steps):
        raise NewerSchema(applied[-1][1]).refusal(shown)


def _unfit(shown: str, what: str) -> StoreUnavailable:
    """Found before anything is sent."""
    return StoreUnavailable.of(shown, what, did_nothing=True)
