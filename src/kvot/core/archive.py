"""A whole database as values, for moving it: to another engine, into a backup, out of one.

What is moved is what happened: events, holds, whose stored replies are, budgets, keys, the audit log. Keys to
providers go as they are: sealed. Sums are not moved: whoever writes works them out again from the events, so a copy
owes nothing to how the engine it came from keeps its numbers. The only sum that goes along is that of forgotten events,
which nothing can work out any more.

A database comes as parts, in this order: for each company, in order of their ids, `LedgerStart`, any number of
`Events`, `Holds` and `StoredReplies`, `LedgerEnd`; then `SecretCheck`, `Keys`, `SealedKeys` and `Audit`. Within a
company they come in no order.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from kvot.core.budget import BudgetChange
from kvot.core.keys import ApiKey
from kvot.core.model import Event, Hold, Settlement, Verification
from kvot.core.provider_keys import SealedKey
from kvot.core.stored_replies import StoredReply

PART_ROWS_MAX = 500
"""Events, holds, keys or lines in one part: some 100 kB, and few enough to be one statement on any engine."""


class LedgerStart(NamedTuple):
    """One company without its events, holds and stored replies. `floor_at_ms` 0: nothing was ever forgotten.

    `in_doubt` goes along, so that what failed verification admits nothing elsewhere either until it is verified.
    """

    company_id: str
    clock_ms: int
    floor_at_ms: int
    forgotten_tokens: int
    in_doubt: bool
    changes: tuple[BudgetChange, ...]


class KeptHold(NamedTuple):
    """A hold with what its retries are compared with: whether it was asked for as dispatched, and its settlement."""

    hold: Hold
    dispatched_asked: bool
    settlement: Settlement | None


class AuditLine(NamedTuple):
    """What one line of the audit log says. `detail` is JSON, its names sorted, without spaces.

    The hash that binds it to the lines before it does not go along: engines divide their logs differently. Whoever
    writes binds the lines anew, in the order in which they come; whoever reads can say whether they held.
    """

    at_ms: int
    actor: str
    action: str
    company_id: str | None
    subject: str
    detail: str


class Events(NamedTuple):
    events: list[Event]


class Holds(NamedTuple):
    holds: list[KeptHold]


class StoredReplies(NamedTuple):
    replies: list[StoredReply]


class LedgerEnd(NamedTuple):
    """What a company's parts came to. `digest` tells two ledgers apart whatever order their parts come in."""

    company_id: str
    events: int
    tokens: int
    holds: int
    held: int
    digest: str


class Keys(NamedTuple):
    keys: list[ApiKey]


class SecretCheck(NamedTuple):
    """What tells the secret that keys were made under from another, so that a wrong one is noticed elsewhere, too."""

    check: bytes


class SealedKeys(NamedTuple):
    """Companies' own keys to providers. They open where the secret is the one that they were sealed under."""

    keys: list[SealedKey]


class Audit(NamedTuple):
    lines: list[AuditLine]


LedgerPart = LedgerStart | Events | Holds | StoredReplies
"""What the engines give of one company."""

Part = LedgerPart | LedgerEnd | SecretCheck | Keys | SealedKeys | Audit


class Source(Protocol):
    """One snapshot of a database: whatever is written meanwhile, it says the same from its making to its end.

    Raises StoreUnavailable, and nothing else, when the engine cannot answer.
    """

    async def need_whole(self) -> None:
        """Raise StoreUnavailable if a copy into this database was begun and not finished."""
        ...

    async def companies(self) -> list[str]:
        """Every company with a ledger or a budget, sorted."""
        ...

    def ledger(self, company_id: str) -> AsyncIterator[LedgerPart]:
        """The parts of one company, but for `LedgerEnd`, which whoever reads works out."""
        ...

    async def latest(
        self, company_id: str, *, since_ms: int, until_ms: int, events_max: int, now_ms: int
    ) -> list[Event]:
        """The last events of a company from one instant to another, both with them, the newest first.

        With them come the charges of holds that are due at `max(clock, now_ms)` and that no write has closed yet: each
        as that write will enter it, so that the list comes to what every read of usage counts.

        Those of one instant come in an order of the engine's own, always the same. All events of the company are looked
        at, and no more than `events_max` of them and its due holds kept on the way: none of the ledger's own questions
        goes through its events by time, so no index of them is paid for with every call.
        """
        ...

    def shared(self) -> AsyncIterator[SecretCheck | Keys | SealedKeys | Audit]:
        """What tells the secret, where it is known; API keys, oldest first; keys to providers by company and provider;
        the audit log, as a line follows the other."""
        ...

    async def audit_holds(self) -> bool:
        """Whether every line of the audit log follows from those before it."""
        ...

    async def verify(self, company_id: str) -> Verification:
        """Recompute every number that this engine keeps of a company. Changes nothing, whatever is found."""
        ...

    async def close(self) -> None: ...


class Sink(Protocol):
    """Where a database's parts are written to. What was not committed is gone when it is closed.

    Raises StoreUnavailable, and nothing else, when the engine cannot answer.
    """

    async def write(self, part: Part) -> None:
        """Take the next part. A company's numbers are worked out when its `LedgerEnd` comes."""
        ...

    async def commit(self) -> None:
        """Keep what was written since the last commit, durably, all of it or nothing."""
        ...

    async def close(self) -> None: ...


class CopySink(Sink, Protocol):
    """A database that takes another in several commits. Until the last of them it says itself that it is not whole."""

    async def mark_unfinished(self) -> None:
        """With what is committed next: a copy into this database has begun, which `Store.ready` and `Source.need_whole`
        then refuse."""
        ...

    async def mark_finished(self) -> None:
        """With what is committed next: all is there."""
        ...


def in_parts(rows: Sequence[object]) -> list[slice]:
    """Where to cut rows so that none of the pieces is too long for a part."""
    return [slice(first, first + PART_ROWS_MAX) for first in range(0, len(rows), PART_ROWS_MAX)]
