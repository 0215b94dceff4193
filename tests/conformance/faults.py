"""Planted faults: engines that are wrong in one way each, which the suite must catch.

Each is the reference engine with one rule broken. A suite that lets one pass proves nothing about the others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kvot.core.budget import Budget, BudgetChange, Rules
from kvot.core.model import (
    Correction,
    Decision,
    Event,
    Hold,
    HoldChange,
    HoldState,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Settlement,
    Status,
    Usage,
)
from kvot.core.store import settlement_event_id
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_company import Company
from tests.conformance.scene import Engine, FullStore


class DurableMemory(MemoryStore):
    """The reference engine, right in every way, with a memory that outlives it: so that it can be opened again."""

    def take_over(self, before: MemoryStore) -> None:
        self._companies, self._keys, self._keys_version = before._companies, before._keys, before._keys_version


# -- time and the window -----------------------------------------------------------------------------------------


class ClosedOnTheLeft(Company):
    def used(self, at_ms: int, window_ms: int) -> int:
        return self._tokens_between(at_ms - window_ms, at_ms + 1)


class OpenOnTheRight(Company):
    def used(self, at_ms: int, window_ms: int) -> int:
        return self._tokens_between(at_ms - window_ms + 1, at_ms)


class ClockGoesBack(Company):
    def advance(self, now_ms: int) -> int:
        self.clock_ms = min(self.clock_ms, now_ms)
        return super().advance(now_ms)


class BackwardClockDeletes(Company):
    """What lies after the new time is taken for an error and dropped."""

    def advance(self, now_ms: int) -> int:
        if now_ms < self.clock_ms:
            self.events = {name: event for name, event in self.events.items() if event.at_ms <= now_ms}
        return super().advance(now_ms)


class SlidingDeletes(Company):
    """What has left the window is deleted, as a sweeper would, and is missing when somebody looks back."""

    def advance(self, now_ms: int) -> int:
        due = super().advance(now_ms)
        start_ms = self.clock_ms - self.budget(self.clock_ms).window_ms
        self.events = {name: event for name, event in self.events.items() if event.at_ms > start_ms}
        return due


class AheadIsFree(Company):
    def committed(self) -> int:
        window_ms = self.budget(self.clock_ms).window_ms
        return self.used(self.clock_ms, window_ms) + self.held(self.clock_ms)


# -- events --------------------------------------------------------------------------------------------------------


class ReplayCountsTwice(Company):
    def record(self, event: NewEvent) -> Status:
        status = super().record(event)
        if status is Status.REPLAYED:
            self.events[f"{event.event_id} again"] = self.events[event.event_id]
        return status


class ConflictOverwrites(Company):
    def record(self, event: NewEvent) -> Status:
        status = super().record(event)
        if status is Status.CONFLICT:
            self.events[event.event_id] = self.events[event.event_id]._replace(tokens=event.tokens)
        return status


class ConflictIsAReplay(Company):
    """Only the id is compared, not what came with it."""

    def _replay(self, event_id: str, content: NewEvent | Correction) -> Status:
        return Status.REPLAYED


class AssignedTimeIsContent(Company):
    """The time that the ledger assigned is compared with the clock of the retry."""

    def record(self, event: NewEvent) -> Status:
        return super().record(event._replace(at_ms=event.at_ms or self.clock_ms))


class RecordRefusesOverBudget(Company):
    def record(self, event: NewEvent) -> Status:
        if event.event_id not in self.events and not self.fits_now(event.tokens):
            return Status.OVER_LIMIT
        return super().record(event)


class CorrectionCountsNow(Company):
    def correct(self, correction: Correction) -> Status:
        status = super().correct(correction)
        if status is Status.DONE:
            event = self.events[correction.event_id]
            self.events[correction.event_id] = event._replace(at_ms=self.clock_ms)
        return status


class CorrectionBelowZero(Company):
    """Only the target is looked at, not what earlier corrections took from it."""

    def _worth(self, event_id: str) -> int:
        return self.events[event_id].tokens


class CorrectionIsCorrected(Company):
    def correct(self, correction: Correction) -> Status:
        target = self.events.get(correction.target_id)
        if target is not None and target.ref is not None:
            correction = correction._replace(target_id=target.ref)
        return super().correct(correction)


class BatchKnowsNoReplayInside(DurableMemory):
    """A batch is checked against the ledger as it was before, so an id that comes twice in it counts twice."""

    async def record_many(self, events: Sequence[tuple[str, NewEvent]], *, now_ms: int) -> list[Status]:
        before = {company_id: set(self._write(company_id, now_ms).events) for company_id, _ in events}
        statuses = []
        for company_id, event in events:
            company = self._write(company_id, now_ms)
            is_new = event.event_id not in before[company_id] and event.event_id in company.events
            event_id = f"{event.event_id} again" if is_new else event.event_id
            statuses.append(company.record(event._replace(event_id=event_id)))
        return statuses


# -- holds ---------------------------------------------------------------------------------------------------------


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

    def _correct_charge(self, hold: Hold, tokens: int, detail: object) -> Status:
        return self._record_late(hold, tokens)

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

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int) -> Decision:
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


# -- budgets -------------------------------------------------------------------------------------------------------


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


# -- keeping -------------------------------------------------------------------------------------------------------


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
        self.events = {f"pruned {number}": event for number, event in enumerate(self.events.values())}
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


class RevokedKeyLives(DurableMemory):
    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        return await self.find_key(key_id) is not None


class Fault(NamedTuple):
    """A planted fault: the engine that has it, what is wrong, and a check that must fail on it.

    `in_script`: the script of random lives finds it too, within the lives that the suite always plays.
    """

    engine: type[Company] | type[DurableMemory]
    wrong: str
    caught_by: str
    in_script: bool = True

    @property
    def name(self) -> str:
        return self.engine.__name__


def engine_of(faulty: type[Company] | type[DurableMemory]) -> Engine:
    """The faulty engine, opened as any other. Its folder's name finds the data again, so it can be opened twice."""
    store_type = store_type_of(faulty)
    kept: dict[Path, DurableMemory] = {}

    async def open_faulty(folder: Path, rules: Rules) -> FullStore:
        store = store_type(rules)
        if folder in kept:
            store.take_over(kept[folder])
        kept[folder] = store
        return store

    return Engine(open_faulty, is_durable=True)


def store_type_of(faulty: type[Company] | type[DurableMemory]) -> type[DurableMemory]:
    """A store of faulty companies, or the faulty store itself."""
    if issubclass(faulty, DurableMemory):
        return faulty
    faulty_company: type[Company] = faulty

    class OfFaultyCompanies(DurableMemory):
        company_type = faulty_company

    return OfFaultyCompanies


FAULTS = (
    Fault(
        ClosedOnTheLeft,
        "an event still counts one window after it entered",
        "test_an_event_leaves_exactly_one_window_after_it_entered",
    ),
    Fault(OpenOnTheRight, "an event does not count in its own millisecond", "window edges: in order, slots of 2^8 ms"),
    Fault(
        ClockGoesBack,
        "a company's clock follows the caller's backward",
        "test_a_clock_that_goes_back_freezes_the_company",
    ),
    Fault(
        BackwardClockDeletes,
        "what lies after a clock that went back is dropped",
        "test_a_clock_that_goes_back_forgets_nothing",
    ),
    Fault(SlidingDeletes, "what has left the window is deleted", "test_a_change_of_the_window_forgets_nothing"),
    Fault(
        AheadIsFree,
        "events ahead of the clock are not counted at admission",
        "test_events_ahead_of_the_clock_count_for_admission",
    ),
    Fault(ReplayCountsTwice, "a retry of an event counts again", "test_one_id_sent_by_many_counts_once"),
    Fault(
        ConflictOverwrites,
        "an id with other content replaces what was recorded",
        "test_an_id_with_other_content_conflicts_and_changes_nothing",
    ),
    Fault(ConflictIsAReplay, "only the id decides what is a replay", "test_one_id_with_many_contents_is_taken_once"),
    Fault(
        AssignedTimeIsContent,
        "a retry must repeat the time that the ledger assigned",
        "test_a_time_that_is_given_is_other_content_than_a_time_that_is_assigned",
    ),
    Fault(
        RecordRefusesOverBudget,
        "tokens that were spent are refused over budget",
        "test_an_event_over_budget_is_recorded_and_flagged",
    ),
    Fault(
        CorrectionCountsNow,
        "a correction counts when it is made, not at its target's time",
        "test_a_correction_leaves_the_window_together_with_its_target",
    ),
    Fault(
        CorrectionBelowZero,
        "corrections together may take more than their target holds",
        "test_corrections_that_race_leave_their_target_at_or_above_zero",
    ),
    Fault(
        CorrectionIsCorrected,
        "a correction of a correction is passed on to its target",
        "test_a_correction_is_not_corrected",
    ),
    Fault(
        BatchKnowsNoReplayInside,
        "an id that comes twice in one batch counts twice",
        "test_a_batch_answers_as_its_events_would_one_by_one",
    ),
    Fault(HoldNotCounted, "holds do not count against the limit", "story: room for one"),
    Fault(HoldCountedAfterSettling, "a settled hold holds on until it would have run out", "story: settled in time"),
    Fault(ExpiredCallIsFree, "a hold whose call was sent runs out uncharged", "story: ran out sent"),
    Fault(UnsentHoldIsCharged, "a hold whose call was never sent is charged", "story: ran out unsent"),
    Fault(
        ChargedWhenNoticed,
        "a charge counts at the next write, not at the instant of expiry",
        "test_a_charge_counts_at_the_instant_at_which_the_hold_ran_out",
    ),
    Fault(
        ExpiryOneLate,
        "a hold still counts at the instant at which it runs out",
        "story: room that comes back at the instant of expiry",
    ),
    Fault(
        LateSettlementOnTop,
        "a late figure is added to the charge instead of replacing it",
        "test_settling_races_with_running_out_and_every_call_counts_once",
    ),
    Fault(
        LateSettlementLost,
        "a hold that ran out can no longer be settled",
        "test_settling_a_hold_that_ran_out_uncharged_records_it_now",
    ),
    Fault(
        SettlesAtMostTheHold,
        "what was used above the hold is not counted",
        "test_settling_above_the_hold_is_recorded_flagged_and_blocks",
    ),
    Fault(
        ReleaseOfASettledHoldFreesAgain,
        "releasing a settled hold takes its usage away",
        "test_settling_otherwise_conflicts_and_changes_nothing",
    ),
    Fault(
        RenewShortens, "renewing may bring the end of a hold nearer", "test_renew_counts_from_now_and_never_shortens"
    ),
    Fault(RefusalIsRemembered, "an id that was refused once is refused for good", "test_a_refusal_is_not_remembered"),
    Fault(
        WaitOneShort,
        "the wait ends a millisecond before the tokens fit",
        "test_a_refusal_says_how_long_to_wait_to_the_millisecond",
    ),
    Fault(
        ChecksThenActs,
        "a hold is checked in one step and made in another",
        "test_of_many_who_want_the_last_unit_one_gets_it",
        in_script=False,
    ),
    Fault(
        SettlesInTwoSteps,
        "a client that dies while settling loses what was used",
        "test_a_client_that_dies_while_settling_may_settle_again",
        in_script=False,
    ),
    Fault(
        BudgetChangesThePast,
        "usage of a past instant is measured by the budget of today",
        "test_usage_of_an_instant_is_measured_by_the_budget_of_that_instant",
    ),
    Fault(
        SecondBudgetOfAMillisecondIsLost,
        "of two budgets in one millisecond the first stays",
        "test_of_two_budgets_in_one_millisecond_the_later_holds_and_both_are_kept",
    ),
    Fault(BudgetStartsAnew, "a change of the window starts a new count", "test_a_change_of_the_window_forgets_nothing"),
    Fault(
        WithinBudgetAtTheLimit,
        "a company at its limit is called within budget",
        "test_a_company_at_its_limit_is_no_longer_within_budget",
    ),
    Fault(
        PruneTakesTooMuch,
        "pruning takes events above the floor",
        "test_ids_are_forgotten_with_their_events_and_no_others",
    ),
    Fault(
        PruneForgetsIds,
        "pruning forgets the ids of events that are kept",
        "test_an_event_that_was_kept_can_be_corrected",
    ),
    Fault(
        PruneCutsTheWindow,
        "pruning cuts into the window of the budget",
        "test_the_window_of_the_budget_is_never_pruned",
    ),
    Fault(
        BelowTheFloorIsZero,
        "a question below the floor is answered with what is left",
        "test_a_window_that_begins_at_the_floor_is_whole_and_one_before_is_refused",
    ),
    Fault(CompaniesMixed, "companies share their events", "test_the_same_id_in_two_companies_is_two_events"),
    Fault(
        IdsForgottenWhenOpenedAgain,
        "ids are forgotten when the engine is opened again",
        "test_a_replay_is_known_after_the_engine_was_opened_again",
    ),
    Fault(
        ClockForgottenWhenOpenedAgain,
        "the clock goes back when the engine is opened again",
        "test_the_clock_does_not_go_back_when_the_engine_is_opened_again",
    ),
    Fault(
        HoldsForgottenWhenOpenedAgain,
        "holds are forgotten when the engine is opened again",
        "test_holds_are_there_after_the_engine_was_opened_again",
    ),
    Fault(
        RevokedKeyLives,
        "a revoked key stays live",
        "test_a_revoked_key_says_since_when_and_revoking_twice_keeps_the_first_time",
        in_script=False,
    ),
)
