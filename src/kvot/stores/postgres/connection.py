"""One connection: to a primary that has our schema, by way of a pooler where the URL says so and of none elsewhere."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg

from kvot.core.clock import LEAP_MAX_MS
from kvot.core.errors import StoreUnavailable
from kvot.core.window import MS_PER_SECOND
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.errors import DRIVER_ERRORS, NewerSchema, connecting, told
from kvot.stores.postgres.schema import CONNECT_TIMEOUT_S, check

STATEMENT_TIMEOUT_MS = 5_000
"""Operations take milliseconds. One that takes this long waits for a lock that somebody else does not give back."""

ANSWER_GRACE_S = 2.0
"""How much longer than the statement's own time-out we wait for its answer: the server should be first to give up."""

_KEPT_ALIVE = {"tcp_keepalives_idle": "60", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The server asks after us each minute that nothing is said: no firewall on the way forgets a connection that seldom
speaks, and the server lets go in half a minute of one whose machine is gone, with the locks that it may hold."""

_UNSUPPORTED = "unsupported startup parameter"
"""What PgBouncer says, as it is installed, to a client that brings a setting of its session along."""

_NOW_MS = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

_POOLED = "KV009"
_NEED_DIRECT = f"""DO $$ BEGIN IF pg_backend_pid() <> %d THEN
    RAISE EXCEPTION 'pooled' USING ERRCODE = '{_POOLED}'; END IF; END $$"""


async def connect(address: Address) -> tuple[asyncpg.Connection, NewerSchema | None]:
    """A connection to a primary that has our schema, or one that a later Kvot made of it. Raises StoreUnavailable."""
    settings = {"application_name": "kvot"}
    if not address.behind_pooler:
        settings["statement_timeout"] = str(STATEMENT_TIMEOUT_MS)
        settings["default_transaction_isolation"] = "read committed"  # whatever the role's is
        settings |= _KEPT_ALIVE
    try:
        with connecting(address.shown):
            connection = await asyncpg.connect(
                address.dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_MS / 1000 + ANSWER_GRACE_S,
                statement_cache_size=0 if address.behind_pooler else 100,
                max_cached_statement_lifetime=0,
                server_settings=settings,
            )
    except (*DRIVER_ERRORS, ValueError) as error:
        if _UNSUPPORTED in str(error):
            raise _hidden_pooler(address) from error
        raise told(address.shown, error) from error
    try:
        await need_direct(connection, address)
        newer = await check_again(connection, address)
    except DRIVER_ERRORS as error:
        await close(connection)
        raise told(address.shown, error) from error
    except StoreUnavailable:
        await close(connection)
        raise
    except asyncio.CancelledError:
        connection.terminate()
        raise
    return connection, newer


async def check_again(connection: asyncpg.Connection, address: Address) -> NewerSchema | None:
    """Raises StoreUnavailable unless its database is still one that can be used, and what the driver raises.

    What a later Kvot has added to the schema does not keep from ending calls that are under way.
    """
    try:
        if address.behind_pooler:
            async with connection.transaction():
                await check(connection, address.shown)
        else:
            await check(connection, address.shown)
    except StoreUnavailable as error:
        if isinstance(error.__cause__, NewerSchema):
            return error.__cause__
        raise
    return None


async def need_direct(connection: asyncpg.Connection, address: Address) -> None:
    """Raise StoreUnavailable when not the one answers whom we connected to and the URL does not say so.

    A pooler that nobody told us of would run one client's prepared statements for another: the same name, and another
    operation.
    """
    if address.behind_pooler:
        return
    try:
        await connection.execute(_NEED_DIRECT % connection.get_server_pid())
    except asyncpg.PostgresError as error:
        if error.sqlstate == _POOLED:
            raise _hidden_pooler(address) from error
        raise


async def need_same_time(connection: asyncpg.Connection, address: Address, now_ms: Callable[[], int]) -> None:
    """Raise StoreUnavailable when the caller's clock and the database's are further apart than clocks that are set.

    A process bounds the leaps of the database's clock by its own, so one that began with a wrong clock would carry
    ledgers away: tokens would leave every window at once, or come to lie in the past.
    """
    try:
        database_ms: int = await connection.fetchval(_NOW_MS)
    except DRIVER_ERRORS as error:
        raise told(address.shown, error) from error
    here_ms = now_ms()
    if abs(here_ms - database_ms) > LEAP_MAX_MS:
        raise _other_time(here_ms, database_ms, address.shown)


def _other_time(here_ms: int, database_ms: int, shown: str) -> StoreUnavailable:
    def said(database: str) -> str:
        clocks = f"This machine's clock says {_shown(here_ms)}, and that of {database} {_shown(database_ms)}."
        return f"{clocks} Nothing was done: set the wrong one right, then start again."

    return StoreUnavailable(said(shown), in_public=said("the database"), did_nothing=True)


def _shown(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // MS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _hidden_pooler(address: Address) -> StoreUnavailable:
    return StoreUnavailable.of(address.shown, "is behind a pooler. Say so in its URL: ?pooler=transaction")


async def close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1.0)
    except DRIVER_ERRORS:
        connection.terminate()
