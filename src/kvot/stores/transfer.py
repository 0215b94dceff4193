"""Moving a whole database from a source to a sink, and telling whether two hold the same.

A ledger is told by its digest: the sum, modulo 2 ** 256, of SHA-256 over its start and each of its events, holds and
stored replies. So it is the same in whatever order an engine gives them, and nothing has to be sorted or kept in
memory.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NamedTuple

import msgspec

from kvot.core.archive import (
    CopySink,
    Events,
    Holds,
    LedgerEnd,
    LedgerStart,
    Part,
    SecretCheck,
    Sink,
    Source,
    StoredReplies,
)
from kvot.core.errors import Conflict, InvalidRequest
from kvot.core.model import HoldState

OnPart = Callable[[Part], None]
"""Told of every part that was dealt with: for progress."""

_MODULUS = 1 << 256
_encoder = msgspec.json.Encoder(order="deterministic")


class Digest:
    """Of rows in any order."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, rows: Iterable[object]) -> None:
        digests = (hashlib.sha256(_encoder.encode(row)).digest() for row in rows)
        self._sum = (self._sum + sum(int.from_bytes(each) for each in digests)) % _MODULUS

    def text(self) -> str:
        return f"{self._sum:064x}"


class LedgerSum:
    """What the parts of one ledger come to."""

    def __init__(self, start: LedgerStart) -> None:
        self._company_id = start.company_id
        self._events = self._tokens = self._holds = self._held = 0
        self._digest = Digest()
        self._digest.add([start])

    def add(self, part: Events | Holds | StoredReplies) -> None:
        # What says nothing of what was not kept once is what it was then, so that old backups still hold: an event
        # without a receipt, a stored reply whose tokens are unknown. A kept settlement has no receipt at all.
        match part:
            case Events(events):
                self._digest.add(each[:-1] if each.receipt is None else each for each in events)
                self._events += len(events)
                self._tokens += sum(event.tokens for event in events)
            case Holds(holds):
                self._digest.add((*kept[:2], kept.settlement and kept.settlement[:-1]) for kept in holds)
                self._holds += len(holds)
                self._held += sum(kept.hold.amount for kept in holds if kept.hold.state is HoldState.OPEN)
            case StoredReplies(replies):
                self._digest.add(each[:-1] if each.tokens is None else each for each in replies)

    def end(self) -> LedgerEnd:
        counts = (self._events, self._tokens, self._holds, self._held)
        return LedgerEnd(self._company_id, *counts, self._digest.text())


class Misfit(InvalidRequest):
    """A part that cannot come where it stands."""

    def __init__(self) -> None:
        super().__init__("The parts of this database do not fit together.", code="DamagedBackup")


class Summary:
    """What the parts of a database come to: one `LedgerEnd` for each company, and a digest of what they share.

    Fed with every part in order, it raises Misfit when they are not what a database can come as.
    """

    def __init__(self) -> None:
        self.ends: dict[str, LedgerEnd] = {}
        self._shared = Digest()
        self._ledger: LedgerSum | None = None

    def add(self, part: Part) -> None:
        match part:
            case LedgerStart():
                self._expect(self._ledger is None and part.company_id not in self.ends)
                self._ledger = LedgerSum(part)
            case Events() | Holds() | StoredReplies():
                self._expect(self._ledger is not None)
                assert self._ledger is not None
                self._ledger.add(part)
            case LedgerEnd():
                self._expect(self._ledger is not None and self._ledger.end() == part)
                self.ends[part.company_id], self._ledger = part, None
            case SecretCheck():
                self._expect(self._ledger is None)
            case _:
                self._expect(self._ledger is None)
                self._shared.add(part[0])

    @property
    def shared(self) -> str:
        return self._shared.text()

    def _expect(self, is_sound: bool) -> None:
        if not is_sound:
            raise Misfit


NOTHING_SHARED = Digest().text()


async def whole_ledger(source: Source, company_id: str) -> AsyncIterator[Part]:
    """The parts of one company, with what they came to at the end."""
    total: LedgerSum | None = None
    async for part in source.ledger(company_id):
        if isinstance(part, LedgerStart):
            total = LedgerSum(part)
        elif total is not None:
            total.add(part)
        yield part
        await asyncio.sleep(0)  # an embedded database never waits, and Ctrl-C has to come through
    assert total is not None, "a ledger begins with its start"
    yield total.end()


async def whole(source: Source) -> AsyncIterator[Part]:
    """All parts of a database."""
    for company_id in await source.companies():
        async for part in whole_ledger(source, company_id):
            yield part
    async for shared in source.shared():
        yield shared


async def end_of(source: Source, company_id: str, on_part: OnPart | None = None) -> LedgerEnd:
    """What one company's parts come to."""
    end: Part | None = None
    async for end in whole_ledger(source, company_id):
        if on_part is not None:
            on_part(end)
    assert isinstance(end, LedgerEnd)
    return end


async def digest_of_shared(source: Source) -> str:
    """Without the check of the secret: a database in which nothing is kept yet has one once it was served."""
    digest = Digest()
    async for part in source.shared():
        if not isinstance(part, SecretCheck):
            digest.add(part[0])
    return digest.text()


# -- all at once: into a backup, or out of one -----------------------------------------------------------------------


async def move(parts: AsyncIterator[Part], sink: Sink, on_part: OnPart) -> Summary:
    """Write all parts in one commit: whatever goes wrong on the way, nothing was written."""
    summary = Summary()
    async for part in parts:
        summary.add(part)
        await sink.write(part)
        on_part(part)
        await asyncio.sleep(0)  # as above
    await sink.commit()
    return summary


async def check_empty(target: Source) -> None:
    """Raise Conflict if the target holds anything at all."""
    companies = await target.companies()
    if companies:
        raise Conflict(f"The database holds {len(companies):,} companies already. Restore into an empty one.")
    if await digest_of_shared(target) != NOTHING_SHARED:
        raise Conflict("The database holds API keys or an audit log already. Restore into an empty one.")


async def differences(target: Source, ends: Iterable[LedgerEnd], shared: str) -> AsyncIterator[str]:
    """In words, whatever of a database is not as it was read: everything is read again, every ledger verified."""
    for end in ends:
        async for difference in ledger_differences(target, end):
            yield difference
    async for difference in shared_differences(target, shared):
        yield difference


async def ledger_differences(target: Source, end: LedgerEnd) -> AsyncIterator[str]:
    if await end_of(target, end.company_id) != end:
        yield f"Company {end.company_id}: what was written is not what was read."
    async for fault in faults(target, end.company_id):
        yield fault


async def shared_differences(target: Source, shared: str) -> AsyncIterator[str]:
    if await digest_of_shared(target) != shared:
        yield "API keys or audit log: what was written is not what was read."


async def faults(source: Source, company_id: str) -> AsyncIterator[str]:
    for fault in (await source.verify(company_id)).differences:
        yield f"Company {company_id} does not verify: {fault.where}: {fault.kept} kept, {fault.recomputed} recomputed."


# -- company by company: from one engine to another ------------------------------------------------------------------


class Plan(NamedTuple):
    """What is left to copy, and what the ledgers that are there already come to."""

    companies: list[str]
    there: list[LedgerEnd]
    has_shared_left: bool


async def plan_copy(source: Source, target: Source, on_part: OnPart) -> Plan:
    """What a copy has to write.

    Raises Conflict if the target holds anything that the source does not hold in just the same way, so that a second
    copy goes on where the first stopped and two ledgers are never mixed.
    """
    companies, there = await source.companies(), set(await target.companies())
    strangers = there - set(companies)
    if strangers:
        raise Conflict(f"The target holds company {min(strangers)}, which the source does not hold.")
    shared = await digest_of_shared(target)
    if shared not in (NOTHING_SHARED, await digest_of_shared(source)):
        raise Conflict(
            "The target holds API keys or an audit log that the source does not hold. Copy into an empty database: "
            "right after kvot migrate, before keys are made there."
        )
    ends = [await _end_of_both(source, target, company_id, on_part) for company_id in sorted(there)]
    left = [company_id for company_id in companies if company_id not in there]
    return Plan(left, ends, shared == NOTHING_SHARED)


async def _end_of_both(source: Source, target: Source, company_id: str, on_part: OnPart) -> LedgerEnd:
    end = await end_of(source, company_id, on_part)
    if end != await end_of(target, company_id):
        raise Conflict(f"The target holds another ledger of company {company_id} than the source.")
    return end


async def copy(source: Source, sink: CopySink, plan: Plan, on_part: OnPart) -> list[LedgerEnd]:
    """Write what the plan says, each company in one commit, made before its end is told; what all come to.

    From the first commit to the last the target is marked as unfinished, so that whatever ends this on the way leaves
    nothing that passes for whole.
    """
    ends = list(plan.there)
    if plan.companies:
        await sink.mark_unfinished()
    for company_id in plan.companies:
        async for part in whole_ledger(source, company_id):
            await sink.write(part)
            if isinstance(part, LedgerEnd):
                await sink.commit()
                ends.append(part)
            on_part(part)
    if plan.has_shared_left:
        async for shared in source.shared():
            await sink.write(shared)
    await sink.mark_finished()
    await sink.commit()
    return ends
