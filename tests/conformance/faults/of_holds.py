"""Planted faults in holds."""

import asyncio

from kvot.core.model import Decision, Event, Hold, HoldChange, HoldState, NewHold, Settlement, Status
from kvot.core.store import settlement_event_id
from kvot.stores.memory_company import Company
from tests.conformance.faults.base import DurableMemory


class HoldNotCounted(Company):
    def committed(self) -> int:
        return super().committed() - self.held(self.clock_ms)


class HoldCountedAfterSettling(Company):
    def held(self, at_ms: int) -> int:
        settled = [hold for hold in self.holds.values() if hold.state is HoldState.SETTLED]
        twice = sum(hold.amount for hold in settled if (hold.closed_at_ms or 0) <= at_ms < hold.expires_at_ms)
        return super().held(at_ms) + twice


class ExpiredCallIsFree(Company):
    def _run_out(self, hold: Hold) -> None:
        super()._run_out(hold._replace(dispatched=False))


class UnsentHoldIsCharged(Company):
    def _run_out(self, hold: Hold) -> None:
        super()._run_out(hold._replace(dispatched=True))


class ChargedWhenNoticed(Company):
    """The charge lies at the time of the next write, not at the instant at which the hold ran out."""

    def _run_out(self, hold: Hold) -> None:
        super()._run_out(hold)
        event_id = settlement_event_id(hold.hold_id)
        if event_id in self.events:
            self.events[event_id] = self.events[event_id]._replace(at_ms=self.clock_ms)


class ExpiryOneLate(Company):
    """A hold still counts at the very instant at which it runs out."""

    def held(self, at_ms: int) -> int:
        last = sum(hold.amount for hold in self.holds.values() if hold.expires_at_ms == at_ms and hold.actual is None)
        return super().held(at_ms) + last


class LateSettlementOnTop(Company):
    """The late figure is added to the charge instead of replacing it."""

    def _correct_charge(self, hold: Hold, figure: Settlement) -> Status:
        return self._record_late(hold, figure.tokens)

    def _record_late(self, hold: Hold, tokens: int) -> Status:
        charge = self.events[settlement_event_id(hold.hold_id)]
        late: Event = charge._replace(event_id=f"late→{hold.hold_id}", at_ms=self.clock_ms, tokens=tokens)
        self.events[late.event_id] = late
        return Status.DONE


class LateSettlementLost(Company):
    """A hold that ran out is closed: what its call used is refused."""

    def settle(self, hold_id: str, settlement: Settlement) -> Status:
        hold = self.holds.get(hold_id)
        if hold is not None and hold.state is HoldState.EXPIRED:
            return Status.CLOSED
        return super().settle(hold_id, settlement)


class SettlesAtMostTheHold(Company):
    def settle(self, hold_id: str, settlement: Settlement) -> Status:
        hold = self.holds.get(hold_id)
        most = settlement.tokens if hold is None else min(settlement.tokens, hold.amount)
        return super().settle(hold_id, settlement._replace(tokens=most))


class ReleaseOfASettledHoldFreesAgain(Company):
    def release(self, hold_id: str) -> Status:
        hold = self.holds.get(hold_id)
        if hold is not None and hold.state is HoldState.SETTLED:
            self.events.pop(settlement_event_id(hold_id), None)
        return super().release(hold_id)


class ReceiptIsCompared(Company):
    """A retry must bring the same receipt."""

    def settle(self, hold_id: str, settlement: Settlement) -> Status:
        event = self.events.get(settlement_event_id(hold_id))
        status = super().settle(hold_id, settlement)
        is_other = event is not None and event.receipt != settlement.receipt
        return Status.CONFLICT if status is Status.REPLAYED and is_other else status


class LateReceiptIsLost(Company):
    """The correction of a charge has none."""

    def _correct_charge(self, hold: Hold, figure: Settlement) -> Status:
        return super()._correct_charge(hold, figure._replace(receipt=None))


class RenewShortens(Company):
    def renew(self, hold_id: str, ttl_ms: int) -> Status:
        status = super().renew(hold_id, ttl_ms)
        if status is Status.DONE:
            self.holds[hold_id] = self.holds[hold_id]._replace(expires_at_ms=self.clock_ms + ttl_ms)
        return status


class RefusalIsRemembered(Company):
    def reserve(self, hold: NewHold) -> Status:
        if hold.hold_id in self.asked and hold.hold_id not in self.holds:
            return Status.OVER_LIMIT
        status = super().reserve(hold)
        if status is Status.OVER_LIMIT:
            self.asked[hold.hold_id] = hold
        return status


class WaitOneShort(Company):
    def fits_at(self, tokens: int) -> int | None:
        at_ms = super().fits_at(tokens)
        return at_ms if at_ms is None or at_ms == self.clock_ms else at_ms - 1


class ChecksThenActs(DurableMemory):
    """Looks whether a hold fits, lets others run, and only then makes it."""

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        seen = self._read(company_id, now_ms)
        is_new = hold.hold_id not in seen.holds and seen.fits_now(hold.amount)
        await asyncio.sleep(0)
        if is_new:
            company = self._write(company_id, now_ms)
            company.add_hold(hold)
            return Decision(Status.DONE, company.usage(company_id), company.holds[hold.hold_id])
        return await super().reserve(company_id, hold, now_ms=now_ms)


class SettlesInTwoSteps(DurableMemory):
    """Closes the hold, lets others run, and only then counts what was used: a client that dies between loses it."""

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement, *, now_ms: int) -> HoldChange:
        change = await super().settle(company_id, hold_id, settlement, now_ms=now_ms)
        if change.status is Status.DONE:
            events = self._companies[company_id].events
            event = events.pop(settlement_event_id(hold_id))
            await asyncio.sleep(0)
            events[event.event_id] = event
        return change
