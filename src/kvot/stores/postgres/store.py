"""The engine in PostgreSQL: every operation is one function call in the database, and one round trip.

Writes of one company go through its lane (`lanes`), so that concurrent ones share a call; reads go as they come. The
database is first asked when it is first needed: `ready` tells whether it can be used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, Self

import asyncpg
import msgspec

from kvot.core.budget import Budget, PartialBudget, Rules
from kvot.core.keys import ApiKey
from kvot.core.model import (
    CompanyBudget,
    Correction,
    Decision,
    Difference,
    EventColumns,
    Hold,
    HoldChange,
    HoldEnd,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Series,
    Settlement,
    Share,
    SharedVerification,
    Status,
    Usage,
    Verification,
)
from kvot.core.provider_keys import SealedKey
from kvot.core.store import OnEvents, ignore
from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, REPLIES_KEPT_MS, StoredReply
from kvot.stores.postgres.address import Address
from kvot.stores.postgres.batches import Batch, record_operation
from kvot.stores.postgres.encoding import (
    STATUSES,
    from_optional_text,
    settlement_text,
    to_company_budget,
    to_hold,
    to_hold_end,
    to_labels,
    to_operation,
    to_optional_text,
    to_parts,
    to_reply,
    to_text,
    to_usage,
    to_uuid,
)
from kvot.stores.postgres.errors import told_beyond
from kvot.stores.postgres.keys import Keys
from kvot.stores.postgres.lanes import Lanes
from kvot.stores.postgres.pool import LONG_TIMEOUT_MS, Pool
from kvot.stores.postgres.provider_keys import ProviderKeys
from kvot.stores.postgres.rights import need_rights
from kvot.stores.postgres.sweep import sweep
from kvot.stores.postgres.watch import KeysWatch
from kvot.stores.postgres.writes import Writes
from kvot.stores.unfinished import unfinished_copy

_USAGE = "SELECT at_ms, window_ms, used, held, token_limit, in_doubt FROM kvot.usage($1, $2, $3, $4, $5, $6)"
_HOLD = "SELECT * FROM kvot.hold_now($1, $2, $3, $4, $5)"
_OPEN_HOLDS = "SELECT * FROM kvot.open_holds($1, $2, $3, $4, $5)"
_TAGGED_HOLDS = "SELECT * FROM kvot.tagged_holds($1, $2, $3, $4, $5, $6, $7)"
_SERIES = "SELECT rolling, tokens FROM kvot.series($1, $2, $3, $4, $5, $6)"
# Put in order by the server: to sort as many labels here would hold the loop up from whichever thread.
_BREAKDOWN = """SELECT label, events, tokens, input_tokens, output_tokens
    FROM kvot.breakdown($1, $2, $3, $4, $5, $6, $7) ORDER BY tokens DESC, label COLLATE "C" NULLS LAST"""
_WHEN_FITS = "SELECT kvot.when_fits($1, $2, $3, $4, $5)"
_BUDGET = "SELECT kvot.budget_read($1, $2, $3, $4, $5)"
_VERIFY = "SELECT place, kept, recomputed, was_in_doubt FROM kvot.verify($1, $2, $3, $4)"
_VERIFY_SHARED = "SELECT company::text, place, kept, recomputed FROM kvot.verify_shared($1, $2, $3)"
_COMPANIES = "SELECT company_id::text FROM kvot.company ORDER BY company_id"
_WITH_DUE = """SELECT company_id::text FROM kvot.companies_with_due_holds($1, $2) company_id
    WHERE $3::uuid IS NULL OR company_id = $3"""
_TOUCH = """SELECT EXISTS (SELECT FROM kvot.unfinished_copy) AS is_unfinished,
    pg_logical_emit_message(true, 'kvot', 'ready')"""

_FIND_REPLY = "SELECT * FROM kvot.find_reply($1, $2, $3, $4, $5, $6)"

_BY = {"source": 0, "provider": 1, "model": 2, "user": 3, "feature": 4}


class Time(Enum):
    """Whose clock decides; its value is how far, in ms, the database's may be from the caller's own steady clock."""

    GIVEN = 0
    """The caller's. For tests, which know what time it is."""

    DATABASE = 300_000
    """The database's, read after the lock, so that all processes share one. Where it is more than five minutes from the
    caller's it is not followed, so no one clock's leap can move a ledger."""


class PostgresStore:
    """An `Engine` in a migrated database. Made by `open`; used on one event loop."""

    def __init__(self, address: Address, rules: Rules, time: Time, now_ms: Callable[[], int] | None) -> None:
        self._rules = rules
        self._drift_max_ms = time.value
        default = rules.default_budget
        self._rule_values = [default.token_limit, default.window_days, rules.retention_ms, rules.future_max_ms]
        self._pool = Pool(address, now_ms)
        self._writes = Writes(self._pool, self._rule_values, self._drift_max_ms)
        self._lanes = Lanes(self._writes.send, self._writes.send_shared)
        self._watch = KeysWatch(address)
        self._keys = Keys(self._pool, self._watch, self._drift_max_ms)
        self._provider_keys = ProviderKeys(self._pool, self._keys, self._drift_max_ms)

    @classmethod
    def open(
        cls, url: str, rules: Rules, *, time: Time = Time.DATABASE, now_ms: Callable[[], int] | None = None
    ) -> Self:
        """Take the URL apart. Raises StoreUnavailable if it cannot be meant; the database is not asked yet.

        now_ms: the clock that operations will bring, to be compared with the database's before the first of them.
        """
        return cls(Address.parse(url), rules, time, now_ms)

    @property
    def rules(self) -> Rules:
        return self._rules

    # -- usage ---------------------------------------------------------------------------------------------------

    async def record(self, company_id: str, event: NewEvent, *, now_ms: int) -> Recorded:
        return _recorded(company_id, await self._write(company_id, record_operation(event, now_ms)))

    async def record_many(self, events: EventColumns, *, now_ms: int) -> list[Status]:
        if not events:
            return []
        statuses = await self._writes.together(Batch.by_company(events, now_ms))
        in_order = {company_id: iter(each) for company_id, each in statuses.items()}
        return [next(in_order[company_id]) for company_id in events.company_ids]

    async def correct(self, company_id: str, correction: Correction, *, now_ms: int) -> Recorded:
        operation = to_operation(
            "correct",
            now_ms,
            id=correction.event_id,
            target=correction.target_id,
            tokens=correction.tokens,
            actor=to_text(correction.actor),
            reason=to_optional_text(correction.reason),
        )
        return _recorded(company_id, await self._write(company_id, operation))

    async def usage(
        self, company_id: str, *, now_ms: int, at_ms: int | None = None, window_ms: int | None = None
    ) -> Usage:
        rows = await self._pool.run(_USAGE, *self._question(company_id, now_ms), at_ms, window_ms)
        return to_usage(company_id, rows[0])

    async def series(
        self, company_id: str, edges_ms: Sequence[int], *, now_ms: int, window_ms: int | None = None
    ) -> Series:
        rows = await self._pool.run(_SERIES, *self._question(company_id, now_ms), list(edges_ms), window_ms)
        tokens = tuple(row["tokens"] for row in rows[:-1])
        return Series(tuple(edges_ms), tokens, tuple(row["rolling"] for row in rows))

    async def breakdown(self, company_id: str, by: str, *, first_hour: int, end_hour: int, now_ms: int) -> list[Share]:
        """Of a hundred thousand labels, which callers choose, the lines are made on a thread; nobody else waits."""
        rows = await self._pool.run(_BREAKDOWN, *self._question(company_id, now_ms), _BY[by], first_hour, end_hour)
        return await asyncio.to_thread(_shares, rows)

    async def fits_at(self, company_id: str, tokens: int, *, now_ms: int) -> int | None:
        rows = await self._pool.run(_WHEN_FITS, *self._question(company_id, now_ms), tokens)
        at_ms: int | None = rows[0][0]
        return at_ms

    # -- holds ---------------------------------------------------------------------------------------------------

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        operation = to_operation(
            "reserve",
            now_ms,
            id=hold.hold_id,
            amount=hold.amount,
            ttl_ms=hold.ttl_ms,
            dispatched=hold.dispatched,
            labels=to_labels(hold[4:]),
        )
        row = await self._write(company_id, operation)
        return Decision(STATUSES[row["status"]], to_usage(company_id, row), to_hold(row), row["wait_ms"])

    async def dispatch(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        return await self._change(company_id, to_operation("dispatch", now_ms, id=hold_id))

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int, *, now_ms: int) -> HoldChange:
        return await self._change(company_id, to_operation("renew", now_ms, id=hold_id, ttl_ms=ttl_ms))

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int) -> HoldChange:
        operation = to_operation(
            "settle",
            now_ms,
            id=hold_id,
            tokens=settlement.tokens,
            source=settlement.source,
            labels=to_labels(settlement.detail[:4]),
            parts=to_parts(settlement.detail),
            text=settlement_text(settlement),
            receipt=to_optional_text(settlement.receipt),
        )
        return await self._change(company_id, operation)

    @property
    def settles_soon(self) -> bool:
        """Another process may be asked next, and knows of nothing that is not committed."""
        return False

    def settle_soon(
        self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int
    ) -> Awaitable[HoldChange]:
        return self.settle(company_id, hold_id, settlement, now_ms=now_ms)

    async def release(self, company_id: str, hold_id: str, *, actor: str | None = None, now_ms: int) -> HoldChange:
        operation = to_operation("release", now_ms, id=hold_id, actor=to_optional_text(actor))
        return await self._change(company_id, operation)

    async def hold(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        rows = await self._pool.run(_HOLD, *self._question(company_id, now_ms), hold_id)
        return _changed(company_id, _whole(rows[0]))

    async def open_holds(self, company_id: str, *, limit: int, now_ms: int) -> list[Hold]:
        rows = await self._pool.run(_OPEN_HOLDS, *self._question(company_id, now_ms), limit)
        return [hold for row in rows if (hold := to_hold(row)) is not None]

    async def tagged_holds(
        self, company_id: str, tags: Sequence[str], *, within_ms: int, limit: int, now_ms: int
    ) -> list[HoldEnd]:
        rows = await self._pool.run(_TAGGED_HOLDS, *self._question(company_id, now_ms), list(tags), within_ms, limit)
        return [to_hold_end(row) for row in rows]

    async def expire(self, company_id: str | None = None, *, now_ms: int) -> int:
        asked = None if company_id is None else to_uuid(company_id)
        due = await self._pool.run(_WITH_DUE, now_ms, self._drift_max_ms, asked)
        return sum([await self._writes.close_due(each, now_ms) for (each,) in due])

    # -- budgets -------------------------------------------------------------------------------------------------

    async def set_budget(
        self, company_id: str, budget: Budget | PartialBudget, *, actor: str, reason: str | None, now_ms: int
    ) -> CompanyBudget:
        operation = to_operation(
            "set_budget",
            now_ms,
            token_limit=budget.token_limit,
            window_days=budget.window_days,
            actor=to_text(actor),
            reason=to_optional_text(reason),
            brief=True,
        )
        return to_company_budget((await self._write(company_id, operation))["note"])

    async def budget(self, company_id: str, *, now_ms: int, at_ms: int | None = None) -> CompanyBudget:
        rows = await self._pool.run(_BUDGET, *self._question(company_id, now_ms), at_ms)
        return to_company_budget(rows[0][0])

    # -- keeping -------------------------------------------------------------------------------------------------

    async def companies(self) -> list[str]:
        return [company_id for (company_id,) in await self._pool.run(_COMPANIES, timeout_ms=LONG_TIMEOUT_MS)]

    async def prune(self, company_id: str, before_ms: int, *, now_ms: int, on_events: OnEvents = ignore) -> Pruned:
        operation = to_operation("prune", now_ms, before_ms=before_ms, replies_kept_ms=REPLIES_KEPT_MS, brief=True)
        row = await self._write(company_id, operation)
        done = msgspec.json.decode(row["note"])
        if done["sweep"] is None:
            return Pruned(done["floor_at"], 0)
        return Pruned(done["floor_at"], await sweep(self._pool, company_id, done["sweep"], on_events))

    async def verify(self, company_id: str, *, now_ms: int) -> Verification:
        """Takes seconds for a million events, in one snapshot; nobody waits for it."""
        first, *rows = await self._pool.run(_VERIFY, *self._question(company_id, now_ms), timeout_ms=LONG_TIMEOUT_MS)
        differences = tuple(Difference(place, kept, recomputed) for place, kept, recomputed, _ in rows)
        if bool(differences) != first["was_in_doubt"]:
            await self._write(company_id, to_operation("doubt", now_ms, in_doubt=bool(differences), brief=True))
        return Verification(company_id, first["kept"], first["recomputed"], differences)

    async def verify_shared(self, company_id: str | None = None, *, now_ms: int) -> SharedVerification:
        company = None if company_id is None else to_uuid(company_id)
        first, *rows = await self._pool.run(
            _VERIFY_SHARED, company, now_ms, self._drift_max_ms, timeout_ms=LONG_TIMEOUT_MS
        )
        found = tuple((whose, Difference(place, kept, recomputed)) for whose, place, kept, recomputed in rows)
        return SharedVerification(first["kept"], found)

    async def ready(self) -> None:
        """A commit that changes nothing, since only a commit shows that commits are possible."""
        rows = await self._pool.run(_TOUCH)
        if rows[0]["is_unfinished"]:
            raise unfinished_copy(self._pool.address.shown)
        await need_rights(self._pool)
        await self._pool.need_room()

    async def close(self) -> None:
        await self._lanes.close()
        await self._watch.close()
        await self._pool.close()

    # -- stored replies ------------------------------------------------------------------------------------------

    async def remember_reply(
        self, company_id: str, provider: str, reply_id: str, *, tokens: int | None = None, now_ms: int
    ) -> None:
        operation = to_operation(
            "remember",
            now_ms,
            provider=to_text(provider),
            id=to_text(reply_id),
            tokens=tokens,
            replies_kept_ms=REPLIES_KEPT_MS,
            forgotten_max=FORGOTTEN_AT_ONCE_MAX,
            brief=True,
        )
        await self._write(company_id, operation)

    async def find_reply(self, company_id: str, provider: str, reply_id: str, *, now_ms: int) -> StoredReply | None:
        which = (to_text(provider), to_text(reply_id), REPLIES_KEPT_MS)
        rows = await self._pool.run(_FIND_REPLY, to_uuid(company_id), now_ms, self._drift_max_ms, *which)
        return to_reply(rows[0]) if rows else None

    # -- keys ----------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        return await self._keys.add(key, actor=actor, now_ms=now_ms)

    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        return await self._keys.revoke(key_id, company_id=company_id, actor=actor, now_ms=now_ms)

    async def bind_secret(self, check: bytes, *, replaced_by: str | None = None, now_ms: int = 0) -> bool:
        return await self._keys.bind_secret(check, replaced_by=replaced_by, now_ms=now_ms)

    async def find_key(self, key_id: str) -> ApiKey | None:
        return await self._keys.find(key_id)

    async def list_keys(self, *, company_id: str | None = None) -> list[ApiKey]:
        return await self._keys.list(company_id)

    @property
    def keys_version(self) -> int:
        return self._watch.version

    # -- keys to providers ---------------------------------------------------------------------------------------

    async def set_provider_key(self, key: SealedKey, *, now_ms: int) -> None:
        await self._provider_keys.set(key, now_ms=now_ms)

    async def remove_provider_key(self, company_id: str, provider: str, *, actor: str, now_ms: int) -> bool:
        return await self._provider_keys.remove(company_id, provider, actor=actor, now_ms=now_ms)

    async def find_provider_key(self, company_id: str, provider: str) -> SealedKey | None:
        return await self._provider_keys.find(company_id, provider)

    async def list_provider_keys(self, company_id: str) -> list[SealedKey]:
        return await self._provider_keys.list(company_id)

    # -- one way to write, one way to ask ------------------------------------------------------------------------

    async def _write(self, company_id: str, operation: str) -> asyncpg.Record:
        self._pool.need_open()
        return _whole(await self._lanes.submit(company_id, operation))

    async def _change(self, company_id: str, operation: str) -> HoldChange:
        return _changed(company_id, await self._write(company_id, operation))

    def _question(self, company_id: str, now_ms: int) -> tuple[Any, ...]:
        """What every read begins with."""
        return to_uuid(company_id), self._rule_values, now_ms, self._drift_max_ms


def _whole(row: asyncpg.Record) -> asyncpg.Record:
    """An answer that reaches below what is kept is none. What was written stays."""
    if row["error"] is not None:
        raise told_beyond(row["error"])
    return row


def _recorded(company_id: str, row: asyncpg.Record) -> Recorded:
    return Recorded(STATUSES[row["status"]], to_usage(company_id, row), row["event_at"])


def _changed(company_id: str, row: asyncpg.Record) -> HoldChange:
    return HoldChange(STATUSES[row["status"]], to_usage(company_id, row), to_hold(row))


def _shares(rows: Sequence[asyncpg.Record]) -> list[Share]:
    return [Share(from_optional_text(label), *counts) for label, *counts in rows]
