"""The values of the ledger: what goes into an operation and what comes back.

Tokens are integers, instants are milliseconds since the epoch. A company is its GUID as 36 lower-case characters.
Values that come in thousands (events, holds) are named tuples: quick to make, and bound to SQL as they are. Those that
come by the million are not made at all: they stay the columns that they came in.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import chain, islice, repeat
from typing import Any, NamedTuple, Self

from kvot.core.budget import Budget, BudgetChange
from kvot.core.window import MS_PER_DAY

TOKENS_MAX = 1_000_000_000_000
"""The most tokens one event may carry. No call uses a trillion; nine million such events still fit a 64-bit total."""

TOTAL_MAX = 2**63 - 1
"""The most tokens one company's running total can hold, on every engine."""

ID_LENGTH_MAX = 255
TEXT_LENGTH_MAX = 255
RECEIPT_LENGTH_MAX = 8_192
"""Of a receipt. What the gateway writes is mostly some 500 characters, and never more than so many."""

HOLD_TTL_MAX_MS = 3_600_000
"""The longest a hold counts without renewal: an abandoned one must not lock a budget for more than an hour."""


class Status(StrEnum):
    """How an operation ended. All but the first two changed nothing beyond the company's clock.

    Where several apply the first in this order is the answer.
    """

    DONE = "done"
    REPLAYED = "replayed"  # this id with this content was taken before; it counts once
    CONFLICT = "conflict"  # this id was taken before with other content
    NOT_FOUND = "not_found"  # no such hold or target
    CLOSED = "closed"  # the hold is no longer open
    NOT_CORRECTABLE = "not_correctable"  # the target is itself a correction
    IN_FUTURE = "in_future"  # later than the company's clock by more than the rules allow
    BEYOND_RETENTION = "beyond_retention"  # older than retention, or at or below the floor of what is kept
    BELOW_ZERO = "below_zero"  # a correction would take more than its target holds
    COUNTER_FULL = "counter_full"  # the running total would leave 64 bits
    IN_DOUBT = "in_doubt"  # the company's ledger failed verification: nothing is admitted
    OVER_LIMIT = "over_limit"  # the tokens asked for do not fit


class Source(StrEnum):
    """Where an event's number comes from."""

    REPORTED = "reported"  # by the provider, or by whoever records
    ESTIMATED = "estimated"
    PARTIAL = "partial"  # of a reply that was not whole: what passed of it
    CORRECTED = "corrected"
    IMPORTED = "imported"


class Kind(StrEnum):
    """What made an event."""

    USAGE = "usage"  # recorded
    SETTLEMENT = "settlement"  # a hold was settled
    EXPIRY = "expiry"  # a hold whose call was sent ran out and is charged at its estimate
    CORRECTION = "correction"


class HoldState(StrEnum):
    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"  # ran out before its call was sent: nothing is charged
    CHARGED = "charged"  # ran out after its call was sent: charged at its estimate


class CallDetail(NamedTuple):
    """What is known about the call behind an event: who made which, and how its tokens divide."""

    provider: str | None = None
    model: str | None = None
    user: str | None = None
    feature: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


NO_DETAIL = CallDetail()


class NewEvent(NamedTuple):
    """An event to record. `at_ms` None: the ledger assigns the company's clock. `receipt`: see `Event`; events that are
    recorded in batches have none."""

    event_id: str
    tokens: int
    at_ms: int | None = None
    source: Source = Source.REPORTED
    detail: CallDetail = CallDetail()
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events to record, by column: what `NewEvent` says of one, for all, in the order in which they are recorded.

    All columns are of one length, but for `source`, which may be one for all. None is a value that an event lacks, and
    in the place of a column one that all lack.
    """

    company_ids: Sequence[str]
    event_ids: Sequence[str]
    tokens: Sequence[int]
    at_ms: Sequence[int | None] | None = None
    source: Sequence[Source] | Source = Source.REPORTED
    provider: Sequence[str | None] | None = None
    model: Sequence[str | None] | None = None
    user: Sequence[str | None] | None = None
    feature: Sequence[str | None] | None = None
    input_tokens: Sequence[int | None] | None = None
    output_tokens: Sequence[int | None] | None = None
    cached_tokens: Sequence[int | None] | None = None
    reasoning_tokens: Sequence[int | None] | None = None

    @classmethod
    def of(cls, events: Iterable[tuple[str, NewEvent]]) -> Self:
        """Of companies and their events, in as few columns as say it."""
        rows = [(company_id, *event[:4], *event.detail) for company_id, event in events]
        if not rows:
            return cls((), (), ())
        company_ids, event_ids, tokens, *others = map(list, zip(*rows, strict=True))
        return cls(company_ids, event_ids, tokens, *map(_shortest, others))

    @classmethod
    def joined(cls, batches: "Sequence[EventColumns]") -> Self:
        """The events of several, in their order."""
        lengths = [len(batch) for batch in batches]
        return cls(*(_joined([getattr(each, field.name) for each in batches], lengths) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.event_ids)

    @property
    def labels(self) -> tuple[Sequence[str | None] | None, ...]:
        return (self.provider, self.model, self.user, self.feature)

    @property
    def parts(self) -> tuple[Sequence[int | None] | None, ...]:
        return (self.input_tokens, self.output_tokens, self.cached_tokens, self.reasoning_tokens)

    def rows(self) -> Iterator[tuple[str, NewEvent]]:
        """The companies and their events."""
        what = (self.at_ms, self.source, *self.labels, *self.parts)
        columns = map(_every, (self.company_ids, self.event_ids, self.tokens, *what))
        for company_id, event_id, tokens, at_ms, source, *detail in zip(*columns, strict=False):
            yield company_id, NewEvent(event_id, tokens, at_ms, source, CallDetail(*detail))


def _every(column: Any) -> Iterable[Any]:
    """What a column says of each event, without end where it says one thing of all."""
    return repeat(column) if column is None or isinstance(column, Source) else column


def _shortest(column: list[Any]) -> Any:
    """One value for all where it is the same and may stand in a column's place."""
    first = column[0]
    is_one = (first is None or isinstance(first, Source)) and column.count(first) == len(column)
    return first if is_one else column


def _joined(columns: Sequence[Any], lengths: Sequence[int]) -> Any:
    first = columns[0] if columns else ()
    if (first is None or isinstance(first, Source)) and all(column is first for column in columns):
        return first
    parts = zip(map(_every, columns), lengths, strict=True)
    return list(chain.from_iterable(islice(values, length) for values, length in parts))


class Event(NamedTuple):
    """An event as the ledger keeps it. `ref` and `reason` are those of a correction; `tokens` may then be negative.

    `receipt`: what the provider told of the call beside its tokens, as JSON, by which a bill can be checked afterwards
    (kvot/gateway/receipt.py). The ledger counts nothing of it, and compares no retry with it.
    """

    event_id: str
    at_ms: int
    at_given: bool  # the client said when; otherwise the ledger did, and a retry need not repeat it
    tokens: int
    kind: Kind
    source: Source
    detail: CallDetail
    ref: str | None = None
    reason: str | None = None
    receipt: str | None = None


class NewHold(NamedTuple):
    """Tokens to set aside for a call. `dispatched`: the call is as good as sent, so an expired hold is charged."""

    hold_id: str
    amount: int
    ttl_ms: int
    dispatched: bool = False
    provider: str | None = None
    model: str | None = None
    user: str | None = None
    feature: str | None = None


class Hold(NamedTuple):
    """A hold as the ledger keeps it. It is open while `created_at_ms <= T < expires_at_ms` and it was not closed."""

    hold_id: str
    amount: int
    ttl_ms: int  # as first asked for: part of what makes a retry the same
    dispatched: bool
    provider: str | None
    model: str | None
    user: str | None
    feature: str | None
    created_at_ms: int
    expires_at_ms: int
    state: HoldState
    closed_at_ms: int | None  # when it stopped holding tokens
    actual: int | None  # what was settled


def described(hold: Hold, detail: CallDetail = NO_DETAIL) -> CallDetail:
    """What is known of a call when it ends, filled up with what was said when its tokens were set aside."""
    return detail._replace(
        provider=hold.provider if detail.provider is None else detail.provider,
        model=hold.model if detail.model is None else detail.model,
        user=hold.user if detail.user is None else detail.user,
        feature=hold.feature if detail.feature is None else detail.feature,
    )


class Settlement(NamedTuple):
    """What a call really used. `receipt` is that of its event, and not part of what makes two settlements the same."""

    tokens: int
    source: Source = Source.REPORTED
    detail: CallDetail = CallDetail()
    receipt: str | None = None


class HoldEnd(NamedTuple):
    """What became of a hold so far. `closed_at_ms`: when it stopped holding tokens. `tokens`: what was settled,
    otherwise its amount. `source`: of what was settled."""

    hold_id: str
    state: HoldState
    expires_at_ms: int
    closed_at_ms: int | None
    tokens: int
    source: Source | None


class Correction(NamedTuple):
    """A change to the tokens of an earlier event, at that event's own time. `tokens` is the difference, not the sum."""

    event_id: str
    target_id: str
    tokens: int
    actor: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a company has used in the window that ends at `at_ms`, and what it may."""

    company_id: str
    at_ms: int
    window_ms: int
    tokens_used: int
    tokens_held: int
    token_limit: int
    in_doubt: bool = False  # the ledger failed verification: nothing counts as within budget

    @property
    def tokens_remaining(self) -> int:
        return max(0, self.token_limit - self.tokens_used)

    @property
    def is_within_budget(self) -> bool:
        """Strictly below the limit, as the contract says: "still below"."""
        return self.tokens_used < self.token_limit and not self.in_doubt

    @property
    def window_days(self) -> int:
        return self.window_ms // MS_PER_DAY


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to record and correct. `at_ms` is the event's time where there is one; usage is after it."""

    status: Status
    usage: Usage
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to reserve: held (DONE or REPLAYED, with the hold) or refused.

    `retry_after_ms` is how long until the same amount fits if nothing else is spent; None where waiting cannot help.
    """

    status: Status
    usage: Usage
    hold: Hold | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HoldChange:
    """The answer to dispatch, renew, settle and release."""

    status: Status
    usage: Usage
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class CompanyBudget:
    """A company's budget at an instant; `changes` is its own history, oldest first, empty where defaults hold."""

    budget: Budget
    changes: tuple[BudgetChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """`tokens[i]` fell into `[edges_ms[i], edges_ms[i + 1])`; `rolling[i]` is the usage at `edges_ms[i]`."""

    edges_ms: tuple[int, ...]
    tokens: tuple[int, ...]
    rolling: tuple[int, ...]


class Share(NamedTuple):
    """One line of a breakdown. `label` None gathers the events that do not say."""

    label: str | None
    events: int
    tokens: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What prune did for one company: detail at or before `floor_at_ms` is gone, `events` of it."""

    floor_at_ms: int
    events: int


class Difference(NamedTuple):
    """A kept number that is not what the events say. `where` names the table and the key."""

    where: str
    kept: int | None
    recomputed: int | None


@dataclass(frozen=True, slots=True)
class Verification:
    """One company's ledger recomputed from its events. In doubt as long as `differences` is not empty."""

    company_id: str
    events: int
    tokens: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class SharedVerification:
    """What no ledger by itself can prove. `audit_lines`: how many lines of the audit log were proved; None: not asked.

    Each difference comes with the company that it is of; None where it is of none, or of one that nobody can name.
    """

    audit_lines: int | None
    differences: tuple[tuple[str | None, Difference], ...]
