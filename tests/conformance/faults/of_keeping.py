"""Planted faults in budgets and in what is kept."""

from dataclasses import replace

from kvot.core.budget import Budget, BudgetChange
from kvot.core.model import HoldState, NewEvent, Pruned, Recorded, Usage
from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, StoredReply
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_company import Company
from tests.conformance.faults.base import DurableMemory


class BudgetChangesThePast(Company):
    def budget(self, at_ms: int) -> Budget:
        return self.changes[-1].budget if self.changes else super().budget(at_ms)


class SecondBudgetOfAMillisecondIsLost(Company):
    def set_budget(self, change: BudgetChange) -> None:
        if not any(earlier.effective_at_ms == change.effective_at_ms for earlier in self.changes):
            super().set_budget(change)


class BudgetStartsAnew(Company):
    """A change of the window begins a new count."""

    def set_budget(self, change: BudgetChange) -> None:
        if change.budget.window_days != self.budget(self.clock_ms).window_days:
            self.events.clear()
        super().set_budget(change)


class WithinBudgetAtTheLimit(DurableMemory):
    """`used <= limit` where the contract says `used < limit`."""

    async def record(self, company_id: str, event: NewEvent, *, now_ms: int) -> Recorded:
        recorded = await super().record(company_id, event, now_ms=now_ms)
        return replace(recorded, usage=generous(recorded.usage))


class GenerousUsage(Usage):
    @property
    def is_within_budget(self) -> bool:
        return self.tokens_used <= self.token_limit and not self.in_doubt


def generous(usage: Usage) -> Usage:
    return GenerousUsage(
        usage.company_id,
        usage.at_ms,
        usage.window_ms,
        usage.tokens_used,
        usage.tokens_held,
        usage.token_limit,
        usage.in_doubt,
    )


class PruneTakesTooMuch(Company):
    """Half a slot of the sidecar above the floor is forgotten too."""

    def prune(self, before_ms: int) -> Pruned:
        pruned = super().prune(before_ms)
        above_ms = pruned.floor_at_ms + 2**23
        self.events = {name: event for name, event in self.events.items() if event.at_ms > above_ms}
        return pruned


class PruneForgetsIds(Company):
    """Every id is forgotten, so a retry of an event that still counts counts again."""

    def prune(self, before_ms: int) -> Pruned:
        pruned = super().prune(before_ms)
        self.sent.clear()
        renamed = [event._replace(event_id=f"{event.event_id}, pruned") for event in self.events.values()]
        self.events = {event.event_id: event for event in renamed}
        return pruned


class PruneCutsTheWindow(Company):
    """What was asked for is forgotten, also where the budget's window still needs it."""

    def prune(self, before_ms: int) -> Pruned:
        self.events = {name: event for name, event in self.events.items() if event.at_ms > before_ms}
        return super().prune(before_ms)


class BelowTheFloorIsZero(Company):
    """A question that reaches below the floor is answered with what is left."""

    def _need_detail_after(self, after_ms: int) -> None:
        return


class CompaniesMixed(DurableMemory):
    """Holds and events of all companies lie in one drawer; only budgets and names are kept apart."""

    def _write(self, company_id: str, now_ms: int) -> Company:
        company = super()._write(company_id, now_ms)
        drawer = next(iter(self._companies.values()))
        company.events, company.sent = drawer.events, drawer.sent
        return company


class IdsForgottenWhenOpenedAgain(DurableMemory):
    def take_over(self, before: MemoryStore) -> None:
        super().take_over(before)
        for company in self._companies.values():
            company.sent.clear()


class ClockForgottenWhenOpenedAgain(DurableMemory):
    def take_over(self, before: MemoryStore) -> None:
        super().take_over(before)
        for company in self._companies.values():
            company.clock_ms = 0


class HoldsForgottenWhenOpenedAgain(DurableMemory):
    def take_over(self, before: MemoryStore) -> None:
        super().take_over(before)
        for company in self._companies.values():
            company.holds = {name: hold for name, hold in company.holds.items() if hold.state is not HoldState.OPEN}


class RepliesOfAllCompanies(DurableMemory):
    """A stored reply is looked for by its provider and its id alone."""

    async def find_reply(self, company_id: str, provider: str, reply_id: str, *, now_ms: int) -> StoredReply | None:
        companies = [self._read(each, now_ms) for each in self._companies]
        found = (company.find_reply(provider, reply_id) for company in companies)
        return next((reply for reply in found if reply is not None), None)


class RepliesForgottenWhenOpenedAgain(DurableMemory):
    def take_over(self, before: MemoryStore) -> None:
        super().take_over(before)
        for company in self._companies.values():
            company.replies.clear()


class TokensOfRepliesAddedUp(Company):
    """What is said again of a stored reply is taken for more of it."""

    def remember(self, provider: str, reply_id: str, tokens: int | None) -> None:
        before = self.find_reply(provider, reply_id)
        known = None if before is None else before.tokens
        super().remember(provider, reply_id, tokens if known is None else known + (tokens or 0))


class RepliesForgottenTooSoon(Company):
    """The oldest go with each that is remembered, also those that are still kept."""

    def remember(self, provider: str, reply_id: str, tokens: int | None) -> None:
        super().remember(provider, reply_id, tokens)
        self.replies = dict(list(self.replies.items())[-FORGOTTEN_AT_ONCE_MAX:])


class RevokedKeyLives(DurableMemory):
    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        return await self.find_key(key_id) is not None
