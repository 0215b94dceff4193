"""The reference engine's database as parts, and from parts: see `kvot.core.archive`. As plain as the engine itself,
of which it knows the inside."""

from collections.abc import AsyncIterator

from kvot.core.archive import (
    Audit,
    Events,
    Holds,
    KeptHold,
    Keys,
    LedgerEnd,
    LedgerPart,
    LedgerStart,
    Part,
    SealedKeys,
    SecretCheck,
    StoredReplies,
    in_parts,
)
from kvot.core.model import Correction, Event, Kind, NewEvent, NewHold, Verification
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_company import Company


class MemorySource:
    """`Source` of a store in memory: its companies as they were when this was made."""

    def __init__(self, store: MemoryStore) -> None:
        self._companies = {company_id: copy_of(company) for company_id, company in store._companies.items()}
        self._keys = list(store._keys.values())
        self._secret_check = store._secret_check
        self._provider_keys = [store._provider_keys[which] for which in sorted(store._provider_keys)]

    async def companies(self) -> list[str]:
        return sorted(self._companies)

    async def ledger(self, company_id: str) -> AsyncIterator[LedgerPart]:
        company = self._companies[company_id]
        floor_at_ms = company.floor_ms or 0
        yield LedgerStart(
            company_id, company.clock_ms, floor_at_ms, company.forgotten_tokens, False, tuple(company.changes)
        )
        events = list(company.events.values())
        for part in in_parts(events):
            yield Events(events[part])
        holds = [_kept(company, hold_id) for hold_id in company.holds]
        for part in in_parts(holds):
            yield Holds(holds[part])
        replies = list(company.replies.values())
        for part in in_parts(replies):
            yield StoredReplies(replies[part])

    async def latest(
        self, company_id: str, *, since_ms: int, until_ms: int, events_max: int, now_ms: int
    ) -> list[Event]:
        company = self._companies.get(company_id)
        events = list(company.seen_at(now_ms).events.values()) if company else []
        asked = [event for event in events if since_ms <= event.at_ms <= until_ms]
        return sorted(asked, key=lambda event: (event.at_ms, event.event_id), reverse=True)[:events_max]

    async def shared(self) -> AsyncIterator[SecretCheck | Keys | SealedKeys | Audit]:
        if self._secret_check is not None:
            yield SecretCheck(self._secret_check)
        for part in in_parts(self._keys):
            yield Keys(self._keys[part])
        for part in in_parts(self._provider_keys):
            yield SealedKeys(self._provider_keys[part])

    async def need_whole(self) -> None:
        """Nothing is copied into it in more than one commit."""

    async def audit_holds(self) -> bool:
        return True  # there is none

    async def verify(self, company_id: str) -> Verification:
        events = self._companies[company_id].events.values()
        return Verification(company_id, len(events), sum(event.tokens for event in events), ())

    async def close(self) -> None:
        self._companies.clear()


class MemorySink:
    """`Sink` into a store in memory. There is nothing to commit: what is written is there at once."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._company = Company(store.rules)

    async def write(self, part: Part) -> None:
        match part:
            case LedgerStart():
                self._company = _begin(self._store, part)
            case Events(events):
                for event in events:
                    _take_event(self._company, event)
            case Holds(holds):
                for kept in holds:
                    _take_hold(self._company, kept)
            case StoredReplies(replies):
                self._company.replies |= {(each.provider, each.reply_id): each for each in replies}
            case SecretCheck(check):
                self._store._secret_check = check
            case Keys(keys):
                for key in keys:
                    self._store._put_key(key)
            case SealedKeys(sealed):
                for each in sealed:
                    self._store._put_provider_key(each)
            case LedgerEnd() | Audit():  # no sums and no audit log are kept here
                pass

    async def commit(self) -> None:
        pass

    async def close(self) -> None:
        pass


def copy_of(company: Company) -> Company:
    """As it is: no time passes."""
    return company.seen_at(company.clock_ms)


def _kept(company: Company, hold_id: str) -> KeptHold:
    return KeptHold(company.holds[hold_id], company.asked[hold_id].dispatched, company.settled.get(hold_id))


def _begin(store: MemoryStore, start: LedgerStart) -> Company:
    company = store._companies[start.company_id] = store.company_type(store.rules)
    company.clock_ms = start.clock_ms
    company.floor_ms = start.floor_at_ms or None
    company.forgotten_tokens = start.forgotten_tokens
    company.changes = list(start.changes)
    return company


def _take_event(company: Company, event: Event) -> None:
    company.events[event.event_id] = event
    if event.kind is Kind.USAGE:
        at_ms = event.at_ms if event.at_given else None
        company.sent[event.event_id] = NewEvent(event.event_id, event.tokens, at_ms, event.source, event.detail)
    elif event.kind is Kind.CORRECTION:
        assert event.ref is not None, "a correction names its target"
        company.sent[event.event_id] = Correction(event.event_id, event.ref, event.tokens, "", event.reason)


def _take_hold(company: Company, kept: KeptHold) -> None:
    hold = kept.hold
    company.holds[hold.hold_id] = hold
    who = (hold.provider, hold.model, hold.user, hold.feature)
    company.asked[hold.hold_id] = NewHold(hold.hold_id, hold.amount, hold.ttl_ms, kept.dispatched_asked, *who)
    if kept.settlement is not None:
        company.settled[hold.hold_id] = kept.settlement
