"""Planted faults in recording and correcting."""

from kvot.core.model import Correction, EventColumns, NewEvent, Status
from kvot.stores.memory_company import Company
from tests.conformance.faults.base import DurableMemory


class ReplayCountsTwice(Company):
    def record(self, event: NewEvent) -> Status:
        status = super().record(event)
        if status is Status.REPLAYED:
            again = self.events[event.event_id]._replace(event_id=f"{event.event_id} again")
            self.events[again.event_id] = again
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

    async def record_many(self, events: EventColumns, *, now_ms: int) -> list[Status]:
        before = {company_id: set(self._write(company_id, now_ms).events) for company_id in events.company_ids}
        statuses = []
        for company_id, event in events.rows():
            company = self._write(company_id, now_ms)
            is_new = event.event_id not in before[company_id] and event.event_id in company.events
            event_id = f"{event.event_id} again" if is_new else event.event_id
            statuses.append(company.record(event._replace(event_id=event_id)))
        return statuses
