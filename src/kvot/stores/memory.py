"""The reference engine, for reading and for tests: what happened in dictionaries, every number summed when asked for.

A write lets time pass on the company and then acts; a read does the same on a copy. Nothing is durable and nothing is
quick: a read costs a walk over all events. The rules themselves stand in `kvot.stores.memory_company`.
"""

from collections.abc import Awaitable, Sequence

from kvot.core.budget import Budget, BudgetChange, PartialBudget, Rules, completed
from kvot.core.clock import LEAP_MAX_MS
from kvot.core.errors import StoreUnavailable
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
from kvot.core.stored_replies import StoredReply
from kvot.core.window import MS_PER_HOUR
from kvot.stores.memory_company import Company

TAKEN = (Status.DONE, Status.REPLAYED)
"""The answers that say that the ledger holds what was asked for."""


class MemoryStore:
    """An `Engine` in memory, for one event loop: no operation waits, so each is one atomic step."""

    company_type = Company

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._companies: dict[str, Company] = {}
        self._keys: dict[str, ApiKey] = {}
        self._provider_keys: dict[tuple[str, str], SealedKey] = {}
        self._keys_version = 0
        self._secret_check: bytes | None = None
        self._is_open = True

    @property
    def rules(self) -> Rules:
        return self._rules

    def _write(self, company_id: str, now_ms: int) -> Company:
        """The company itself, made if need be, its clock advanced and its due holds closed."""
        self._need_open()
        company = self._companies.setdefault(company_id, self.company_type(self._rules))
        company.advance(now_ms)
        return company

    def _read(self, company_id: str, now_ms: int) -> Company:
        self._need_open()
        company = self._companies.get(company_id) or self.company_type(self._rules)
        return company.seen_at(now_ms)

    def _need_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("The ledger is closed.")

    # -- usage -----------------------------------------------------------------------------------------------

    async def record(self, company_id: str, event: NewEvent, *, now_ms: int) -> Recorded:
        company = self._write(company_id, now_ms)
        status = company.record(event)
        at_ms = company.events[event.event_id].at_ms if status in TAKEN else None
        return Recorded(status, company.usage(company_id), at_ms)

    async def record_many(self, events: EventColumns, *, now_ms: int) -> list[Status]:
        return [self._write(company_id, now_ms).record(event) for company_id, event in events.rows()]

    async def correct(self, company_id: str, correction: Correction, *, now_ms: int) -> Recorded:
        company = self._write(company_id, now_ms)
        status = company.correct(correction)
        at_ms = company.events[correction.event_id].at_ms if status in TAKEN else None
        return Recorded(status, company.usage(company_id), at_ms)

    async def usage(
        self, company_id: str, *, now_ms: int, at_ms: int | None = None, window_ms: int | None = None
    ) -> Usage:
        return self._read(company_id, now_ms).usage(company_id, at_ms, window_ms)

    async def series(
        self, company_id: str, edges_ms: Sequence[int], *, now_ms: int, window_ms: int | None = None
    ) -> Series:
        return self._read(company_id, now_ms).series(edges_ms, window_ms)

    async def breakdown(self, company_id: str, by: str, *, first_hour: int, end_hour: int, now_ms: int) -> list[Share]:
        return self._read(company_id, now_ms).breakdown(by, first_hour * MS_PER_HOUR, end_hour * MS_PER_HOUR)

    async def fits_at(self, company_id: str, tokens: int, *, now_ms: int) -> int | None:
        return self._read(company_id, now_ms).fits_at(tokens)

    # -- holds -----------------------------------------------------------------------------------------------

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        company = self._write(company_id, now_ms)
        status = company.reserve(hold)
        usage = company.usage(company_id)
        if status in TAKEN:
            return Decision(status, usage, company.holds[hold.hold_id])
        if status is not Status.OVER_LIMIT:
            return Decision(status, usage)
        fits_at_ms = company.fits_at(hold.amount)
        # Counted from the caller's clock: where the company's is ahead of it, the wait is that much longer.
        return Decision(status, usage, None, None if fits_at_ms is None else fits_at_ms - now_ms)

    async def dispatch(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        company = self._write(company_id, now_ms)
        return _change(company_id, company, hold_id, company.dispatch(hold_id))

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int, *, now_ms: int) -> HoldChange:
        company = self._write(company_id, now_ms)
        return _change(company_id, company, hold_id, company.renew(hold_id, ttl_ms))

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int) -> HoldChange:
        company = self._write(company_id, now_ms)
        return _change(company_id, company, hold_id, company.settle(hold_id, settlement))

    @property
    def settles_soon(self) -> bool:
        return False

    def settle_soon(
        self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int
    ) -> Awaitable[HoldChange]:
        return self.settle(company_id, hold_id, settlement, now_ms=now_ms)

    async def release(self, company_id: str, hold_id: str, *, actor: str | None = None, now_ms: int) -> HoldChange:
        company = self._write(company_id, now_ms)
        return _change(company_id, company, hold_id, company.release(hold_id))

    async def hold(self, company_id: str, hold_id: str, *, now_ms: int) -> HoldChange:
        company = self._read(company_id, now_ms)
        status = Status.DONE if hold_id in company.holds else Status.NOT_FOUND
        return _change(company_id, company, hold_id, status)

    async def open_holds(self, company_id: str, *, limit: int, now_ms: int) -> list[Hold]:
        return self._read(company_id, now_ms).open_holds()[:limit]

    async def tagged_holds(
        self, company_id: str, tags: Sequence[str], *, within_ms: int, limit: int, now_ms: int
    ) -> list[HoldEnd]:
        return self._read(company_id, now_ms).tagged_holds(tags, within_ms, limit)

    async def expire(self, company_id: str | None = None, *, now_ms: int) -> int:
        self._need_open()
        asked = [company for id_, company in self._companies.items() if company_id in (None, id_)]
        return sum(company.advance(now_ms) for company in asked)

    # -- budgets ---------------------------------------------------------------------------------------------

    async def set_budget(
        self, company_id: str, budget: Budget | PartialBudget, *, actor: str, reason: str | None, now_ms: int
    ) -> CompanyBudget:
        company = self._write(company_id, now_ms)
        budget = completed(budget, company.budget(company.clock_ms))
        company.set_budget(BudgetChange(company.clock_ms, budget, actor, reason))
        return CompanyBudget(budget, tuple(company.changes))

    async def budget(self, company_id: str, *, now_ms: int, at_ms: int | None = None) -> CompanyBudget:
        company = self._read(company_id, now_ms)
        budget = company.budget(company.clock_ms if at_ms is None else at_ms)
        return CompanyBudget(budget, tuple(company.changes))

    # -- keeping ---------------------------------------------------------------------------------------------

    async def companies(self) -> list[str]:
        self._need_open()
        return sorted(self._companies)

    async def prune(self, company_id: str, before_ms: int, *, now_ms: int, on_events: OnEvents = ignore) -> Pruned:
        pruned = self._write(company_id, now_ms).prune(before_ms)
        on_events(pruned.events)
        return pruned

    async def verify(self, company_id: str, *, now_ms: int) -> Verification:
        """There are no kept numbers here, so none can differ and no company is ever in doubt."""
        events = self._read(company_id, now_ms).events.values()
        return Verification(company_id, len(events), sum(event.tokens for event in events), ())

    async def verify_shared(self, company_id: str | None = None, *, now_ms: int) -> SharedVerification:
        """No row here can lose its company, and no audit log is kept."""
        self._need_open()
        clocks = sorted((id_, company.clock_ms) for id_, company in self._companies.items())
        ahead = [each for each in clocks if each[1] > now_ms + LEAP_MAX_MS and company_id in (None, each[0])]
        differences = tuple((id_, Difference("company clock", clock_ms, now_ms)) for id_, clock_ms in ahead)
        return SharedVerification(0 if company_id is None else None, differences)

    async def ready(self) -> None:
        self._need_open()

    async def close(self) -> None:
        self._is_open = False

    # -- stored replies --------------------------------------------------------------------------------------

    async def remember_reply(
        self, company_id: str, provider: str, reply_id: str, *, tokens: int | None = None, now_ms: int
    ) -> None:
        self._write(company_id, now_ms).remember(provider, reply_id, tokens)

    async def find_reply(self, company_id: str, provider: str, reply_id: str, *, now_ms: int) -> StoredReply | None:
        return self._read(company_id, now_ms).find_reply(provider, reply_id)

    # -- keys ------------------------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        self._need_open()
        if key.key_id in self._keys:
            return False
        self._put_key(key)
        return True

    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        key = await self.find_key(key_id)
        if key is None or company_id not in (None, key.company_id):
            return False
        if key.revoked_at_ms is None:
            self._put_key(key._replace(revoked_at_ms=now_ms))
        return True

    async def bind_secret(self, check: bytes, *, replaced_by: str | None = None, now_ms: int = 0) -> bool:
        self._need_open()
        if self._secret_check is None or replaced_by is not None:
            self._secret_check = check
        return self._secret_check == check

    async def find_key(self, key_id: str) -> ApiKey | None:
        self._need_open()
        return self._keys.get(key_id)

    async def list_keys(self, *, company_id: str | None = None) -> list[ApiKey]:
        self._need_open()
        keys = [key for key in self._keys.values() if company_id in (None, key.company_id)]
        return sorted(keys, key=lambda key: (key.created_at_ms, key.key_id))

    @property
    def keys_version(self) -> int:
        return self._keys_version

    def _put_key(self, key: ApiKey) -> None:
        self._keys[key.key_id] = key
        self._keys_version += 1

    # -- keys to providers -----------------------------------------------------------------------------------

    async def set_provider_key(self, key: SealedKey, *, now_ms: int) -> None:
        self._need_open()
        self._put_provider_key(key)

    async def remove_provider_key(self, company_id: str, provider: str, *, actor: str, now_ms: int) -> bool:
        self._need_open()
        if self._provider_keys.pop((company_id, provider), None) is None:
            return False
        self._keys_version += 1
        return True

    async def find_provider_key(self, company_id: str, provider: str) -> SealedKey | None:
        self._need_open()
        return self._provider_keys.get((company_id, provider))

    async def list_provider_keys(self, company_id: str) -> list[SealedKey]:
        self._need_open()
        keys = [key for key in self._provider_keys.values() if key.company_id == company_id]
        return sorted(keys, key=lambda key: key.provider)

    def _put_provider_key(self, key: SealedKey) -> None:
        self._provider_keys[key.company_id, key.provider] = key
        self._keys_version += 1


def _change(company_id: str, company: Company, hold_id: str, status: Status) -> HoldChange:
    return HoldChange(status, company.usage(company_id), company.holds.get(hold_id))
