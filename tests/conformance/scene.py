"""What a check is played on: one open engine, two companies, and short words for the operations.

Nothing here knows an engine. `now_ms` is always given by the check; the defaults are an instant like any other.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from kvot.core.archive import Audit, AuditLine, Sink
from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Budget, Rules
from kvot.core.keys import KeyStore
from kvot.core.model import (
    CallDetail,
    CompanyBudget,
    Correction,
    Decision,
    Event,
    HoldChange,
    NewEvent,
    NewHold,
    Recorded,
    Settlement,
    Source,
    Usage,
)
from kvot.core.provider_keys import ProviderKeyStore
from kvot.core.store import Store
from kvot.core.stored_replies import StoredReplyStore
from kvot.core.window import INSTANT_MAX
from kvot.core.window import MS_PER_DAY as DAY
from kvot.core.window import MS_PER_HOUR as HOUR

COMPANY = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
T0 = 1_790_000_000_000
"""An instant in September 2026; no check depends on which."""
MINUTE = 60_000
WINDOW = 30 * DAY
"""The window of the default budget, and of every budget that a check does not say otherwise of."""

__all__ = ["COMPANY", "DAY", "HOUR", "MINUTE", "OTHER", "T0", "WINDOW", "Archive", "Engine", "FullStore", "Scene"]


class FullStore(Store, KeyStore, ProviderKeyStore, StoredReplyStore, Protocol):
    """What every engine offers: the ledger, the keys to it, companies' own keys to providers, and whose replies are."""


Opening = Callable[[], Awaitable[FullStore]]


class Archive(NamedTuple):
    """An engine's database as a whole: how it is read, the store being closed; and how one is made from its parts."""

    read: Callable[[FullStore, Path, Rules], Awaitable[ArchiveSource]]
    make: Callable[[Path, Rules], Awaitable[tuple[Sink, Opening]]]
    """A sink, and what opens the store once that is closed."""
    keeps_audit: bool = True


class Engine(NamedTuple):
    """How to open an engine in a folder of its own. What was written to a durable one is there when opened again.

    `damage` makes one kept number of a company untrue, behind the engine's back, for what is said of a company in
    doubt. None: the engine keeps no numbers. `discard` is told that a folder is not opened again. `need` starts what
    the engine cannot be opened without, and raises ConnectionError, with the reason, where there is none.
    """

    open: Callable[[Path, Rules], Awaitable[FullStore]]
    is_durable: bool
    damage: Callable[[FullStore, Path, str], Awaitable[None]] | None = None
    discard: Callable[[Path], None] | None = None
    need: Callable[[], object] | None = None
    archive: Archive | None = None


class Scene:
    """An open engine with the operations in short. What a check does not name is the first company, at T0."""

    def __init__(self, engine: Engine, folder: Path, rules: Rules, store: FullStore) -> None:
        self.engine = engine
        self.folder = folder
        self.rules = rules
        self.store = store

    @classmethod
    async def open(cls, engine: Engine, folder: Path, rules: Rules | None = None) -> Self:
        rules = rules or Rules()
        return cls(engine, folder, rules, await engine.open(folder, rules))

    async def reopen(self) -> None:
        """Close the engine and open the same data again; nothing happens where nothing would be left."""
        if self.engine.is_durable:
            await self.store.close()
            self.store = await self.engine.open(self.folder, self.rules)

    async def close(self) -> None:
        await self.store.close()
        if self.engine.discard is not None:
            self.engine.discard(self.folder)

    # -- usage ---------------------------------------------------------------------------------------------------

    async def record(
        self,
        event_id: str,
        tokens: int,
        at_ms: int | None = None,
        *,
        now_ms: int = T0,
        company: str = COMPANY,
        source: Source = Source.REPORTED,
        **detail: Any,
    ) -> Recorded:
        event = NewEvent(event_id, tokens, at_ms, source, CallDetail(**detail))
        return await self.store.record(company, event, now_ms=now_ms)

    async def correct(
        self,
        event_id: str,
        target_id: str,
        tokens: int,
        *,
        reason: str | None = None,
        actor: str = "operator",
        now_ms: int = T0,
        company: str = COMPANY,
    ) -> Recorded:
        correction = Correction(event_id, target_id, tokens, actor, reason)
        return await self.store.correct(company, correction, now_ms=now_ms)

    async def usage(
        self,
        at_ms: int | None = None,
        window_ms: int | None = None,
        *,
        now_ms: int = T0,
        company: str = COMPANY,
    ) -> Usage:
        return await self.store.usage(company, now_ms=now_ms, at_ms=at_ms, window_ms=window_ms)

    async def used(
        self,
        at_ms: int | None = None,
        window_ms: int | None = None,
        *,
        now_ms: int = T0,
        company: str = COMPANY,
    ) -> int:
        return (await self.usage(at_ms, window_ms, now_ms=now_ms, company=company)).tokens_used

    async def held(self, at_ms: int | None = None, *, now_ms: int = T0, company: str = COMPANY) -> int:
        return (await self.usage(at_ms, now_ms=now_ms, company=company)).tokens_held

    async def fits_at(self, tokens: int, *, now_ms: int = T0, company: str = COMPANY) -> int | None:
        return await self.store.fits_at(company, tokens, now_ms=now_ms)

    # -- holds ---------------------------------------------------------------------------------------------------

    async def reserve(
        self,
        hold_id: str,
        amount: int,
        *,
        ttl_ms: int = MINUTE,
        dispatched: bool = False,
        now_ms: int = T0,
        company: str = COMPANY,
        **labels: str,
    ) -> Decision:
        hold = NewHold(hold_id, amount, ttl_ms, dispatched, **labels)
        return await self.store.reserve(company, hold, now_ms=now_ms)

    async def dispatch(self, hold_id: str, *, now_ms: int = T0, company: str = COMPANY) -> HoldChange:
        return await self.store.dispatch(company, hold_id, now_ms=now_ms)

    async def renew(self, hold_id: str, ttl_ms: int, *, now_ms: int = T0, company: str = COMPANY) -> HoldChange:
        return await self.store.renew(company, hold_id, ttl_ms, now_ms=now_ms)

    async def settle(
        self,
        hold_id: str,
        tokens: int,
        *,
        now_ms: int = T0,
        company: str = COMPANY,
        source: Source = Source.REPORTED,
        receipt: str | None = None,
        **detail: Any,
    ) -> HoldChange:
        settlement = Settlement(tokens, source, CallDetail(**detail), receipt)
        return await self.store.settle(company, hold_id, settlement, now_ms=now_ms)

    async def release(
        self, hold_id: str, *, actor: str | None = None, now_ms: int = T0, company: str = COMPANY
    ) -> HoldChange:
        return await self.store.release(company, hold_id, actor=actor, now_ms=now_ms)

    async def hold(self, hold_id: str, *, now_ms: int = T0, company: str = COMPANY) -> HoldChange:
        return await self.store.hold(company, hold_id, now_ms=now_ms)

    # -- budgets, reports ----------------------------------------------------------------------------------------

    async def set_budget(
        self, token_limit: int, window_days: int = 30, *, now_ms: int = T0, company: str = COMPANY
    ) -> CompanyBudget:
        budget = Budget(token_limit, window_days)
        return await self.store.set_budget(company, budget, actor="operator", reason=None, now_ms=now_ms)

    async def budget(self, at_ms: int | None = None, *, now_ms: int = T0, company: str = COMPANY) -> Budget:
        return (await self.store.budget(company, now_ms=now_ms, at_ms=at_ms)).budget

    async def latest(
        self,
        since_ms: int = 1,
        until_ms: int = INSTANT_MAX,
        *,
        events_max: int = 100,
        now_ms: int = T0,
        company: str = COMPANY,
    ) -> list[Event]:
        """The last events, the newest first, as they stand in the database."""
        asked = {"since_ms": since_ms, "until_ms": until_ms, "events_max": events_max, "now_ms": now_ms}
        assert self.engine.archive is not None
        source = await self.engine.archive.read(self.store, self.folder, self.rules)
        try:
            return await source.latest(company, **asked)
        finally:
            await source.close()

    async def audit(self) -> list[AuditLine]:
        """The lines of the audit log, as they stand in the database: of one company in their order."""
        assert self.engine.archive is not None
        source = await self.engine.archive.read(self.store, self.folder, self.rules)
        try:
            return [line async for part in source.shared() if isinstance(part, Audit) for line in part.lines]
        finally:
            await source.close()

    async def shares(
        self, by: str, first_ms: int = T0 - DAY, end_ms: int = T0 + DAY, *, now_ms: int = T0
    ) -> dict[str | None, Sequence[int]]:
        """The breakdown of the hours from one instant to another: label to (events, tokens, input, output)."""
        first_hour, end_hour = first_ms // HOUR, end_ms // HOUR
        lines = await self.store.breakdown(COMPANY, by, first_hour=first_hour, end_hour=end_hour, now_ms=now_ms)
        return {line.label: tuple(line[1:]) for line in lines}
