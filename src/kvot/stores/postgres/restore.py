"""Writing a whole database from its parts into PostgreSQL: see `kvot.core.archive`.

Events and holds are copied in as they come; when a company is complete its chain, sidecar, rollup and totals are
worked out from them in SQL, as the embedded engine does it.
"""

import json
from typing import Any, Self

import asyncpg

from kvot.core.archive import (
    Audit,
    AuditLine,
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
from kvot.core.model import Event
from kvot.core.stored_replies import StoredReply
from kvot.core.window import MS_PER_HOUR, SHIFTS
from kvot.stores.postgres import provider_keys
from kvot.stores.postgres.archive import NO_TIMEOUTS, connect, let_go, telling
from kvot.stores.postgres.encoding import settlement_text, to_labels, to_optional_text, to_text, to_uuid
from kvot.stores.postgres.keys import to_row
from kvot.stores.postgres.schema import check

LABEL_SETS_REMEMBERED_MAX = 50_000
"""Of one company: about 10 MB at the most."""

_BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED; {NO_TIMEOUTS}"
_KEY_ACTIONS = frozenset({"add_key", "revoke_key", "set_provider_key", "remove_provider_key"})
"""Lines of the audit log of keys, which follow one another whatever company they are about."""

_ADD_COMPANY = """INSERT INTO kvot.company
    (company_id, clock, floor_at, floor_cum, head_cum, in_doubt, token_limit, window_days)
    VALUES ($1, $2, $3, $4, $4, $5, $6, $7)"""
_ADD_BUDGET = "INSERT INTO kvot.budget VALUES ($1, $2, $3, $4, $5, $6, $7)"
_LABEL_SET_NO = "SELECT kvot.label_set_no($1, $2)"
_ADD_KEY = """INSERT INTO kvot.api_key(key_id, secret_hash, company_id, roles, name, created_at, created_by, expires_at,
    revoked_at, networks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_ADD_PROVIDER_KEY = "INSERT INTO kvot.provider_key VALUES ($1, $2, $3, $4, $5)"
_SET_SECRET = """INSERT INTO kvot.secret_check VALUES (true, $1)
    ON CONFLICT (one) DO UPDATE SET digest = excluded.digest"""
_KEYS_CHANGED = "UPDATE kvot.keys_version SET version = version + 1"
_MARK = "INSERT INTO kvot.unfinished_copy VALUES (true) ON CONFLICT DO NOTHING"
_UNMARK = "DELETE FROM kvot.unfinished_copy"
_LINE = """coalesce(last.seq, 0) + 1, $1::bigint, $2, $3, {company}$5, $6::jsonb,
    kvot.line_hash(last.hash, coalesce(last.seq, 0) + 1, $1, $2, $3, $4::uuid, $5, $6::jsonb)
    FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT seq, hash FROM {log} ORDER BY seq DESC LIMIT 1) AS last ON true"""
_ADD_LINE = "INSERT INTO kvot.audit SELECT $4::uuid, " + _LINE.format(
    company="", log="kvot.audit WHERE company_id = $4::uuid"
)
_ADD_KEY_LINE = "INSERT INTO kvot.key_audit SELECT " + _LINE.format(company="$4::uuid, ", log="kvot.key_audit")

_EVENT = (
    "company_id", "event_id", "at", "tokens", "at_given", "kind", "source", "label_set_no",
    "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "ref", "reason", "receipt",
)  # fmt: skip
_HOLD = (
    "company_id", "hold_id", "amount", "ttl_ms", "dispatched_asked", "dispatched", "label_set_no",
    "created_at", "expires_at", "state", "closed_at", "actual", "settlement",
)  # fmt: skip
_REPLY = ("company_id", "provider", "reply_id", "at", "tokens")

_SUM_POINTS = """INSERT INTO kvot.point SELECT $1, at, $2 + (sum(tokens) OVER (ORDER BY at))::bigint FROM (
    SELECT at, sum(tokens) AS tokens FROM kvot.event WHERE company_id = $1 AND at <= $3 GROUP BY at
    HAVING sum(tokens) <> 0) AS instant"""
_SUM_LATE = """INSERT INTO kvot.late SELECT $1, $2::smallint, at >> $3, sum(tokens)::bigint FROM kvot.event
    WHERE company_id = $1 AND at > $4 AND tokens <> 0 GROUP BY at >> $3"""
_SUM_ROLLUP = f"""INSERT INTO kvot.rollup SELECT $1, at / {MS_PER_HOUR}, label_set_no, source, count(*),
    sum(tokens)::bigint, coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint
    FROM kvot.event WHERE company_id = $1 GROUP BY 2, 3, 4"""
_SUM_UP = """UPDATE kvot.company SET
    head_at = coalesce((SELECT max(at) FROM kvot.point WHERE company_id = $1), 0),
    head_cum = coalesce((SELECT cum FROM kvot.point WHERE company_id = $1 ORDER BY at DESC LIMIT 1), floor_cum),
    late_events = (SELECT count(*) FROM kvot.event WHERE company_id = $1 AND at > $2 AND tokens <> 0),
    late_tokens = (SELECT coalesce(sum(tokens), 0) FROM kvot.event WHERE company_id = $1 AND at > $2),
    held = (SELECT coalesce(sum(amount), 0) FROM kvot.hold WHERE company_id = $1 AND state = 'open'),
    due_at = (SELECT min(expires_at) FROM kvot.hold WHERE company_id = $1 AND state = 'open'),
    hold_span_ms = (SELECT coalesce(max(expires_at - created_at), 0) FROM kvot.hold WHERE company_id = $1)
    WHERE company_id = $1"""
_ANALYZE = """ANALYZE kvot.company, kvot.event, kvot.point, kvot.late, kvot.hold, kvot.rollup, kvot.label_set,
    kvot.stored_reply"""


class PostgresSink:
    """`CopySink` of a migrated database."""

    def __init__(self, connection: asyncpg.Connection, shown: str) -> None:
        self._connection = connection
        self._shown = shown
        self._has_begun = True
        self._start: LedgerStart | None = None
        self._label_set_nos: dict[tuple[str | None, ...], int] = {}

    @classmethod
    async def open(cls, url: str, rules: Rules) -> Self:
        """Raises StoreUnavailable, saying what to do."""
        return cls(*await connect(url, _BEGIN, check))

    async def write(self, part: Part) -> None:
        with telling(self._shown):
            await self._need_transaction()
            await self._write(part)

    async def _need_transaction(self) -> None:
        if not self._has_begun:
            await self._connection.execute(_BEGIN)
            self._has_begun = True

    async def _write(self, part: Part) -> None:
        match part:
            case LedgerStart():
                await self._begin(part)
            case Events(events):
                await self._copy("event", _EVENT, [await self._of_event(event) for event in events])
            case Holds(holds):
                await self._copy("hold", _HOLD, [await self._of_hold(kept) for kept in holds])
            case StoredReplies(replies):
                await self._copy("stored_reply", _REPLY, [self._of_reply(each) for each in replies])
            case LedgerEnd():
                await self._sum_up()
            case SecretCheck(digest):
                await self._connection.execute(_SET_SECRET, digest)
            case Keys(keys):
                await self._connection.executemany(_ADD_KEY, [to_row(key) for key in keys])
                await self._connection.execute(_KEYS_CHANGED)
            case SealedKeys(sealed):
                await self._connection.executemany(_ADD_PROVIDER_KEY, [provider_keys.to_row(key) for key in sealed])
                await self._connection.execute(_KEYS_CHANGED)
            case Audit(lines):
                for line in lines:
                    await self._connection.execute(*_of_line(line))

    async def mark_unfinished(self) -> None:
        await self._mark(_MARK)

    async def mark_finished(self) -> None:
        await self._mark(_UNMARK)

    async def _mark(self, statement: str) -> None:
        with telling(self._shown):
            await self._need_transaction()
            await self._connection.execute(statement)

    async def commit(self) -> None:
        with telling(self._shown):
            await self._connection.execute("COMMIT")
            self._has_begun = False

    async def close(self) -> None:
        """Statistics first: without them the server plans its questions as of empty tables, until it finds time."""
        try:
            if not self._has_begun:
                with telling(self._shown):
                    await self._connection.execute(_ANALYZE)
        finally:
            await let_go(self._connection)

    # -- one company ---------------------------------------------------------------------------------------------

    async def _begin(self, start: LedgerStart) -> None:
        company = to_uuid(start.company_id)
        budget = start.changes[-1].budget if start.changes else (None, None)
        floor = (start.floor_at_ms, start.forgotten_tokens)
        await self._connection.execute(_ADD_COMPANY, company, start.clock_ms, *floor, start.in_doubt, *budget)
        lines = [
            (company, seq, each.effective_at_ms, *each.budget, to_text(each.actor), to_optional_text(each.reason))
            for seq, each in enumerate(start.changes, 1)
        ]
        await self._connection.executemany(_ADD_BUDGET, lines)
        self._start = start
        self._label_set_nos.clear()

    async def _copy(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        await self._connection.copy_records_to_table(table, schema_name="kvot", columns=columns, records=rows)

    async def _sum_up(self) -> None:
        assert self._start is not None, "a ledger that ends has begun"
        company, clock_ms = to_uuid(self._start.company_id), self._start.clock_ms
        await self._connection.execute(_SUM_POINTS, company, self._start.forgotten_tokens, clock_ms)
        for level, shift in enumerate(SHIFTS):
            await self._connection.execute(_SUM_LATE, company, level, shift, clock_ms)
        await self._connection.execute(_SUM_ROLLUP, company)
        await self._connection.execute(_SUM_UP, company, clock_ms)

    async def _of_event(self, event: Event) -> tuple[Any, ...]:
        company, number = await self._labelled(event.detail[:4])
        what = (event.at_given, event.kind.value, event.source.value, number)
        last = (event.ref, to_optional_text(event.reason), to_optional_text(event.receipt))
        return (company, event.event_id, event.at_ms, event.tokens, *what, *event.detail[4:], *last)

    async def _of_hold(self, kept: KeptHold) -> tuple[Any, ...]:
        hold = kept.hold
        company, number = await self._labelled((hold.provider, hold.model, hold.user, hold.feature))
        asked = (hold.amount, hold.ttl_ms, kept.dispatched_asked, hold.dispatched, number)
        times = (hold.created_at_ms, hold.expires_at_ms, hold.state.value, hold.closed_at_ms)
        settlement = None if kept.settlement is None else settlement_text(kept.settlement)
        return (company, hold.hold_id, *asked, *times, hold.actual, settlement)

    def _of_reply(self, reply: StoredReply) -> tuple[Any, ...]:
        assert self._start is not None, "stored replies are of a company"
        which = (to_uuid(self._start.company_id), to_text(reply.provider), to_text(reply.reply_id))
        return (*which, reply.at_ms, reply.tokens)

    async def _labelled(self, labels: tuple[str | None, ...]) -> tuple[Any, int]:
        """The company, and its number of a combination of labels."""
        assert self._start is not None, "events and holds are of a company"
        company = to_uuid(self._start.company_id)
        number = self._label_set_nos.get(labels)
        if number is None:
            number = int(await self._connection.fetchval(_LABEL_SET_NO, company, to_labels(labels)))
            if len(self._label_set_nos) >= LABEL_SETS_REMEMBERED_MAX:
                self._label_set_nos.clear()
            self._label_set_nos[labels] = number
        return company, number


def _of_line(line: AuditLine) -> tuple[Any, ...]:
    """The statement that binds a line to those before it, and its values."""
    is_of_keys = line.company_id is None or line.action in _KEY_ACTIONS
    company = None if line.company_id is None else to_uuid(line.company_id)
    who = (to_text(line.actor), line.action, company, to_text(line.subject))
    detail = json.dumps(_escaped(json.loads(line.detail)))
    return (_ADD_KEY_LINE if is_of_keys else _ADD_LINE, line.at_ms, *who, detail)


def _escaped(value: Any) -> Any:
    """The texts in a JSON value as they can be kept."""
    match value:
        case str():
            return to_text(value)
        case list():
            return [_escaped(each) for each in value]
        case dict():
            return {name: _escaped(each) for name, each in value.items()}
    return value
