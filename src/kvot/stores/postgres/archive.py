"""One snapshot of a database in PostgreSQL, read for moving it elsewhere: see `kvot.core.archive`.

One REPEATABLE READ transaction on a connection of its own: servers go on writing meanwhile, and whatever they write is
not seen. On Citus each worker has its own snapshot: stop the servers before a database that is distributed is copied.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import asyncpg

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
from kvot.core.budget import Budget, BudgetChange, Rules
from kvot.core.model import CallDetail, Difference, Event, Hold, HoldState, Kind, Settlement, Source, Verification
from kvot.stores.postgres import provider_keys
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.connection import need_direct
from kvot.stores.postgres.encoding import from_labels, from_optional_text, from_text, to_reply, to_uuid
from kvot.stores.postgres.errors import DRIVER_ERRORS, connecting, told
from kvot.stores.postgres.keys import COLUMNS, from_row
from kvot.stores.postgres.schema import CONNECT_TIMEOUT_S, check_steps
from kvot.stores.postgres.store import Time
from kvot.stores.unfinished import unfinished_copy

T = TypeVar("T")
Check = Callable[[asyncpg.Connection, str], Awaitable[None]]

NO_TIMEOUTS = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
"""What moves a database keeps a transaction open while it waits for the other one, however long that takes."""

_SNAPSHOT = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {NO_TIMEOUTS}"

_IS_MARKED = "SELECT EXISTS (SELECT FROM kvot.unfinished_copy)"
_COMPANIES = "SELECT company_id::text FROM kvot.company ORDER BY company_id"
_COMPANY = """SELECT clock, floor_at, floor_cum + floor_late AS forgotten, in_doubt FROM kvot.company
    WHERE company_id = $1"""
_BUDGETS = """SELECT effective_at, token_limit, window_days, actor, reason FROM kvot.budget
    WHERE company_id = $1 ORDER BY seq"""
_EVENT = """SELECT event_id, at, at_given, tokens, kind::text, source::text, labels,
    input_tokens, output_tokens, cached_tokens, reasoning_tokens, ref, reason, receipt
    FROM kvot.event LEFT JOIN kvot.label_set USING (company_id, label_set_no) WHERE company_id = $1"""
_EVENTS = f"{_EVENT} AND at > $2"
_CHARGES = """SELECT 'hold→' || hold_id, expires_at, false, amount, 'expiry', 'estimated', labels,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM kvot.hold LEFT JOIN kvot.label_set USING (company_id, label_set_no)
    WHERE company_id = $1 AND state = 'open' AND dispatched AND expires_at BETWEEN $2 AND least($3, $5)"""
"""What `kvot.run_out` will enter for the holds that are due: as events."""
_LATEST = f"""SELECT * FROM ({_EVENT} AND event_id IN (SELECT e.event_id FROM kvot.event e
    WHERE e.company_id = $1 AND e.at BETWEEN $2 AND $3
    AND e.at > coalesce((SELECT c.floor_at FROM kvot.company c WHERE c.company_id = $1), 0)
    ORDER BY e.at DESC, e.event_id DESC LIMIT $4) UNION ALL {_CHARGES}) AS found
    ORDER BY at DESC, event_id DESC LIMIT $4"""
_CLOCK = """SELECT greatest((SELECT clock FROM kvot.company WHERE company_id = $1), kvot.time_of($2, $3))"""
_HOLDS = """SELECT hold_id, amount, ttl_ms, dispatched, labels, created_at, expires_at, state::text, closed_at, actual,
    dispatched_asked, settlement
    FROM kvot.hold AS kept LEFT JOIN kvot.label_set USING (company_id, label_set_no)
    WHERE company_id = $1 AND NOT kvot.is_forgotten(kept, $2)"""
"""What is at or below the floor is forgotten, also where a prune has not come to its end and deleted it."""
_REPLIES = "SELECT provider, reply_id, at, tokens FROM kvot.stored_reply WHERE company_id = $1"
_KEYS = f"SELECT {COLUMNS} FROM kvot.api_key ORDER BY created_at, key_id"
_PROVIDER_KEYS = f"SELECT {provider_keys.COLUMNS} FROM kvot.provider_key ORDER BY company_id, provider"
_SECRET_CHECK = "SELECT digest FROM kvot.secret_check"
_AUDIT = """SELECT at, actor, action, company_id::text, subject, detail::text FROM (
    SELECT at, actor, action, company_id, subject, detail, 0 AS log, seq,
        max(at) OVER (PARTITION BY company_id ORDER BY seq) AS since FROM kvot.audit
    UNION ALL SELECT at, actor, action, company_id, subject, detail, 1, seq,
        max(at) OVER (ORDER BY seq) FROM kvot.key_audit
    ) AS line ORDER BY since, log, CASE WHEN log = 0 THEN company_id END, seq"""
"""The lines of one log keep their order, also where a clock was set back between them."""
_AUDIT_BREAK = """SELECT kvot.first_key_audit_break() IS NOT NULL OR EXISTS (SELECT FROM
    (SELECT DISTINCT company_id FROM kvot.audit) AS log WHERE kvot.first_audit_break(company_id) IS NOT NULL)"""
_VERIFY = "SELECT place, kept, recomputed FROM kvot.verify($1, $2, 0, 0)"


class PostgresSource:
    """`Source` of a migrated database. Everything is read in one transaction."""

    def __init__(self, connection: asyncpg.Connection, shown: str, rules: Rules, time: Time) -> None:
        self._connection = connection
        self._shown = shown
        self._drift_max_ms = time.value
        default = rules.default_budget
        self._rules = [default.token_limit, default.window_days, rules.retention_ms, rules.future_max_ms]

    @classmethod
    async def open(cls, url: str, rules: Rules, *, time: Time = Time.DATABASE) -> Self:
        """Raises StoreUnavailable, saying what to do."""
        connection, shown = await connect(url, _SNAPSHOT, check_steps)
        return cls(connection, shown, rules, time)

    async def need_whole(self) -> None:
        with telling(self._shown):
            is_marked = await self._connection.fetchval(_IS_MARKED)
        if is_marked:
            raise unfinished_copy(self._shown)

    async def companies(self) -> list[str]:
        with telling(self._shown):
            return [company_id for (company_id,) in await self._connection.fetch(_COMPANIES)]

    async def ledger(self, company_id: str) -> AsyncIterator[LedgerPart]:
        company = to_uuid(company_id)
        with telling(self._shown):
            row = await self._connection.fetchrow(_COMPANY, company)
            changes = [_to_change(each) for each in await self._connection.fetch(_BUDGETS, company)]
        assert row is not None, "only companies that are there are asked for"
        clock, floor_at, forgotten, in_doubt = row
        yield LedgerStart(company_id, clock, floor_at, forgotten, in_doubt, tuple(changes))
        async for events in self._parts(_EVENTS, _to_event, company, floor_at):
            yield Events(events)
        async for holds in self._parts(_HOLDS, _to_hold, company, floor_at):
            yield Holds(holds)
        async for replies in self._parts(_REPLIES, to_reply, company):
            yield StoredReplies(replies)

    async def latest(
        self, company_id: str, *, since_ms: int, until_ms: int, events_max: int, now_ms: int
    ) -> list[Event]:
        company = to_uuid(company_id)
        with telling(self._shown):
            clock_ms = await self._connection.fetchval(_CLOCK, company, now_ms, self._drift_max_ms)
            rows = await self._connection.fetch(_LATEST, company, since_ms, until_ms, events_max, clock_ms)
        return [_to_event(row) for row in rows]

    async def shared(self) -> AsyncIterator[SecretCheck | Keys | SealedKeys | Audit]:
        async for checks in self._parts(_SECRET_CHECK, lambda row: SecretCheck(row[0])):
            yield checks[0]
        async for keys in self._parts(_KEYS, from_row):
            yield Keys(keys)
        async for sealed in self._parts(_PROVIDER_KEYS, provider_keys.from_row):
            yield SealedKeys(sealed)
        async for lines in self._parts(_AUDIT, _to_line):
            yield Audit(lines)

    async def audit_holds(self) -> bool:
        with telling(self._shown):
            return not await self._connection.fetchval(_AUDIT_BREAK)

    async def verify(self, company_id: str) -> Verification:
        with telling(self._shown):
            first, *rows = await self._connection.fetch(_VERIFY, to_uuid(company_id), self._rules)
        return Verification(company_id, first["kept"], first["recomputed"], tuple(Difference(*row) for row in rows))

    async def close(self) -> None:
        await let_go(self._connection)

    async def _parts(self, query: str, read: Callable[[asyncpg.Record], T], *values: object) -> AsyncIterator[list[T]]:
        """The rows as a cursor gives them: few are in memory, however many there are."""
        with telling(self._shown):
            cursor = await self._connection.cursor(query, *values)
            while rows := await cursor.fetch(PART_ROWS_MAX):
                yield [read(row) for row in rows]


async def connect(url: str, begin: str, check: Check) -> tuple[asyncpg.Connection, str]:
    """A connection in a transaction, and what the database is called. Raises StoreUnavailable."""
    address = Address.parse(url)
    with telling(address.shown):
        with connecting(address.shown):
            connection = await asyncpg.connect(
                address.dsn,
                timeout=CONNECT_TIMEOUT_S,
                statement_cache_size=0 if address.behind_pooler else 100,
                server_settings={"application_name": "kvot keeping"},
            )
        try:
            await need_direct(connection, address)
            await connection.execute(begin)
            await check(connection, address.shown)
        except BaseException:
            await let_go(connection)
            raise
    return connection, address.shown


async def let_go(connection: asyncpg.Connection) -> None:
    """What was not committed is undone."""
    try:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    except DRIVER_ERRORS:
        connection.terminate()


@contextmanager
def telling(shown: str) -> Iterator[None]:
    """Tell a driver's error as what it means for whoever runs Kvot."""
    try:
        yield
    except (*DRIVER_ERRORS, ValueError) as error:
        raise told(shown, error) from error


def _to_change(row: asyncpg.Record) -> BudgetChange:
    effective_at, token_limit, window_days, actor, reason = row
    return BudgetChange(effective_at, Budget(token_limit, window_days), from_text(actor), from_optional_text(reason))


def _to_event(row: asyncpg.Record) -> Event:
    event_id, at_ms, at_given, tokens, kind, source, labels, *parts, ref, reason, receipt = row
    detail = CallDetail(*from_labels(labels), *parts)  # type: ignore[arg-type]
    texts = (from_optional_text(reason), from_optional_text(receipt))
    return Event(event_id, at_ms, at_given, tokens, Kind(kind), Source(source), detail, ref, *texts)


def _to_hold(row: asyncpg.Record) -> KeptHold:
    hold_id, amount, ttl_ms, dispatched, labels, created_at, expires_at, state, closed_at, actual, asked, text = row
    who = (hold_id, amount, ttl_ms, dispatched, *from_labels(labels))
    hold = Hold(*who, created_at, expires_at, HoldState(state), closed_at, actual)  # type: ignore[call-arg]
    return KeptHold(hold, asked, None if text is None else _to_settlement(text))


def _to_settlement(text: str) -> Settlement:
    """What `encoding.settlement_text` wrote."""
    tokens, source, *detail = json.loads(text)
    return Settlement(tokens, Source(source), CallDetail(*detail))


def _to_line(row: asyncpg.Record) -> AuditLine:
    at_ms, actor, action, company_id, subject, detail = row
    text = json.dumps(_unescaped(json.loads(detail)), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return AuditLine(at_ms, from_text(actor), action, company_id, from_text(subject), text)


def _unescaped(value: Any) -> Any:
    """The texts in a JSON value as they were before they were kept."""
    match value:
        case str():
            return from_text(value)
        case list():
            return [_unescaped(each) for each in value]
        case dict():
            return {name: _unescaped(each) for name, each in value.items()}
    return value
