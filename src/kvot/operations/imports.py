"""Usage that happened elsewhere or earlier, taken into the ledger: by the thousand, each row answered for.

Rows come as columns, since whole columns can be checked by a handful of C loops and go on to the ledger as they are:
that is what lets a million rows through in seconds. A batch whose columns do not all pass is gone through row by row,
and only then is it known which rows are bad and why. Both roads give the same events; a test holds them to that.

A bad row never stops a good one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from operator import add
from typing import TypeVar

from kvot.contract.describe import unreadable_member
from kvot.contract.keeping import (
    AiChatUsageEvent,
    AiChatUsageRefusal,
    ImportAiChatUsage,
    ImportAiChatUsageResponse,
)
from kvot.core.errors import Forbidden, InvalidRequest, KvotError
from kvot.core.faults import fault
from kvot.core.ledger import Ledger, check_event
from kvot.core.model import (
    ID_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    TOKENS_MAX,
    CallDetail,
    EventColumns,
    NewEvent,
    Source,
    Status,
)
from kvot.core.principal import Principal
from kvot.core.window import INSTANT_MAX
from kvot.operations.company import company_for
from kvot.operations.refusals import describe
from kvot.operations.services import Caller, Services

Value = TypeVar("Value")
Texts = Sequence[str | None] | None
Numbers = Sequence[int | None] | None
Place = int | tuple[int, int]
"""Where a row stands in what the caller sent: its position in a list, or its line; of an array in a file the line where
it begins and its number among the elements, which may all stand on one line."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by column, all of one length. A column that no row has is None; so is a value that a row lacks.

    `positions` say where each row stands in what the caller sent. Companies are in canonical form.
    """

    positions: Sequence[Place]
    event_ids: Sequence[str]
    tokens: Numbers = None
    at_ms: Numbers = None
    company_ids: Texts = None
    provider: Texts = None
    model: Texts = None
    user: Texts = None
    feature: Texts = None
    input_tokens: Numbers = None
    output_tokens: Numbers = None
    cached_tokens: Numbers = None
    reasoning_tokens: Numbers = None

    @property
    def texts(self) -> tuple[Texts, Texts, Texts, Texts]:
        return (self.provider, self.model, self.user, self.feature)

    @property
    def counts(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        return (self.input_tokens, self.output_tokens, self.cached_tokens, self.reasoning_tokens)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that was not counted, and why."""

    position: Place
    event_id: str | None
    code: str
    message: str


@dataclass(slots=True)
class Tally:
    """What became of rows."""

    accepted: int = 0
    duplicate: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = sorted([*self.refusals, *refusals], key=lambda each: _order(each.position))


def _order(place: Place) -> tuple[int, int]:
    return (place, 0) if isinstance(place, int) else place


async def import_usage(services: Services, caller: Caller, request: ImportAiChatUsage) -> ImportAiChatUsageResponse:
    if request.events is None:
        raise InvalidRequest.of_fields([fault("Events", "NotEmpty", None)])
    readable, unreadable = _sort(request.events)
    rows = _to_rows(readable, caller.idempotency_key, services.new_id)
    tally = await import_rows(services.ledger, caller.principal, rows, company_id=request.company_id)
    tally.refuse(unreadable)
    return ImportAiChatUsageResponse(
        accepted=tally.accepted,
        duplicate=tally.duplicate,
        refused=len(tally.refusals),
        refusals=[
            AiChatUsageRefusal(
                position=_order(each.position)[0], id=each.event_id, error_code=each.code, message=each.message
            )
            for each in tally.refusals
        ],
    )


async def import_rows(ledger: Ledger, principal: Principal, rows: Rows, *, company_id: str | None = None) -> Tally:
    """Count rows in the ledgers of their companies; a row without one counts in that of `company_id`.

    A principal who may not act for `company_id` is refused as a whole, one who may not act for a row's company in
    that row. All that was counted is durable on return.
    """
    return await count(ledger, to_events(rows, companies_for(principal, company_id)))


def companies_for(principal: Principal, company_id: str | None) -> Callable[[str | None], str]:
    """The company to count a row for, from the one it names. Raises Forbidden if `company_id` may not be named."""
    if company_id is not None:
        company_for(principal, company_id)
    return partial(_company, principal, company_id)


async def count(ledger: Ledger, batch: "Batch") -> Tally:
    """Record a batch's events, all of them durable on return, and say what became of each row."""
    return _tally(batch, await ledger.record_many(batch.events) if batch.events else [])


# -- rows into events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that any ledger can hold, with the position of each, and the rows that are none."""

    events: EventColumns
    positions: Sequence[Place]
    refusals: list[Refusal]

    @classmethod
    def joined(cls, batches: "Iterable[Batch]") -> "Batch":
        """Several as one: what is quick to make in small parts is quick to commit in large ones."""
        batches = list(batches)
        return cls(
            EventColumns.joined([batch.events for batch in batches]),
            [position for batch in batches for position in batch.positions],
            [refusal for batch in batches for refusal in batch.refusals],
        )


def to_events(rows: Rows, company_of: Callable[[str | None], str]) -> Batch:
    """`company_of` gives the company to count for, or raises Forbidden or InvalidRequest."""
    if not rows.event_ids:
        return Batch(EventColumns.of([]), [], [])
    events = _whole_columns(rows, company_of)
    return _row_by_row(rows, company_of) if events is None else Batch(events, rows.positions, [])


def _whole_columns(rows: Rows, company_of: Callable[[str | None], str]) -> EventColumns | None:
    """All rows as events, or None if any is bad or lacks a value that others have."""
    companies = _whole_companies(rows, company_of)
    tokens = _whole_tokens(rows)
    if companies is None or tokens is None or not _are_ids(rows.event_ids):
        return None
    if not all(_within(column, 0, TOKENS_MAX) for column in rows.counts if column is not None):
        return None
    if rows.at_ms is not None and not _within(rows.at_ms, 1, INSTANT_MAX):
        return None
    if not all(max(map(len, filter(None, column)), default=0) <= TEXT_LENGTH_MAX for column in rows.texts if column):
        return None
    return EventColumns(companies, rows.event_ids, tokens, rows.at_ms, Source.IMPORTED, *rows.texts, *rows.counts)


def _endless(column: Sequence[Value] | None) -> Iterable[Value | None]:
    return repeat(None) if column is None else column


def _whole_companies(rows: Rows, company_of: Callable[[str | None], str]) -> Sequence[str] | None:
    try:
        if rows.company_ids is None:
            return [company_of(None)] * len(rows.event_ids)
        companies = {named: company_of(named) for named in set(rows.company_ids)}
    except (Forbidden, InvalidRequest):
        return None
    return list(map(companies.__getitem__, rows.company_ids))


def _whole_tokens(rows: Rows) -> Sequence[int] | None:
    """What the rows say, or input and output together; those two are checked with the other counts."""
    tokens: Numbers = rows.tokens
    if tokens is None:
        try:
            tokens = list(map(add, rows.input_tokens, rows.output_tokens))  # type: ignore[arg-type]
        except TypeError:
            return None
    return tokens if _within(tokens, 1, TOKENS_MAX) else None  # type: ignore[return-value]


def _within(column: Sequence[int | None], least: int, most: int) -> bool:
    """True when every row has a number and all are within bounds."""
    try:
        return min(column) >= least and max(column) <= most  # type: ignore[type-var, operator]
    except TypeError:  # a row has none: numbers are not compared with it
        return False


def _are_ids(column: Sequence[str]) -> bool:
    together = "".join(column)
    if not (together.isascii() and together.isprintable()) or " " in together:
        return False
    return min(map(len, column)) >= 1 and max(map(len, column)) <= ID_LENGTH_MAX


def _row_by_row(rows: Rows, company_of: Callable[[str | None], str]) -> Batch:
    events: list[tuple[str, NewEvent]] = []
    positions: list[Place] = []
    refusals: list[Refusal] = []
    columns = (rows.company_ids, rows.event_ids, rows.tokens, rows.at_ms, *rows.texts, *rows.counts)
    aligned = zip(rows.positions, *map(_endless, columns), strict=False)
    for position, named, event_id, tokens, at_ms, *detail in aligned:
        event = NewEvent(event_id, _tokens(tokens, detail[4], detail[5]), at_ms, Source.IMPORTED, CallDetail(*detail))
        try:
            check_event(event)
            events.append((company_of(named), event))
            positions.append(position)
        except KvotError as error:
            refusals.append(Refusal(position, event_id, error.code, error.message))
    return Batch(EventColumns.of(events), positions, refusals)


def _tokens(tokens: int | None, input_tokens: int | None, output_tokens: int | None) -> int:
    """What a row says, or else input and output together; 0, which no event may have, where it says neither."""
    return (input_tokens or 0) + (output_tokens or 0) if tokens is None else tokens


def _company(principal: Principal, default: str | None, named: str | None) -> str:
    return company_for(principal, default if named is None else named)


# -- what came of them -------------------------------------------------------------------------------------------------


def _tally(batch: Batch, statuses: list[Status]) -> Tally:
    tally = Tally(statuses.count(Status.DONE), statuses.count(Status.REPLAYED), batch.refusals)
    if tally.accepted + tally.duplicate < len(statuses):
        tally.refuse(
            Refusal(position, event_id, *describe(status, event_id))
            for position, event_id, status in zip(batch.positions, batch.events.event_ids, statuses, strict=True)
            if status not in (Status.DONE, Status.REPLAYED)
        )
    return tally


Numbered = list[tuple[int, AiChatUsageEvent]]
"""Events with their positions."""


def _sort(events: list[AiChatUsageEvent]) -> tuple[Numbered, list[Refusal]]:
    """The events that could be read, and the others: one whose time was skipped would be counted at another."""
    readable: Numbered = []
    refusals: list[Refusal] = []
    for position, event in enumerate(events):
        if fault := unreadable_member(event):
            name, unreadable = fault
            event_id = event.id if isinstance(event.id, str) else None
            message = unreadable.why or f"'{unreadable.text}' is an Invalid value for '{name}'"
            refusals.append(Refusal(position, event_id, "SerializationException", message))
        else:
            readable.append((position, event))
    return readable, refusals


def _to_rows(events: Numbered, key: str | None, new_id: Callable[[], str]) -> Rows:
    """An event without an id gets one: of the request's key and its position, so that a retry repeats it, or a new."""
    return Rows(
        positions=[position for position, _ in events],
        event_ids=[each.id or (new_id() if key is None else f"{key}:{position}") for position, each in events],
        at_ms=_column(None if each.at is None else each.at.ms for _, each in events),
        company_ids=_column(each.company_id for _, each in events),
        user=_column(each.user_id for _, each in events),
        **{name: _column(getattr(each, name) for _, each in events) for name in _SAME_NAMES},
    )


_SAME_NAMES = (
    "tokens",
    "provider",
    "model",
    "feature",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
)


def _column(values: Iterable[Value | None]) -> list[Value | None] | None:
    column = list(values)
    return None if all(value is None for value in column) else column
