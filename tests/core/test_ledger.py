"""What the ledger refuses before any engine sees it, and that it reads its clock once an operation."""

from collections.abc import Awaitable, Callable, Iterator

import pytest

from kvot.core.budget import Budget, Rules
from kvot.core.errors import InvalidRequest
from kvot.core.ledger import SERIES_EDGES_MAX, Ledger, check_event
from kvot.core.model import (
    HOLD_TTL_MAX_MS,
    TOKENS_MAX,
    CallDetail,
    Correction,
    EventColumns,
    NewEvent,
    NewHold,
    Settlement,
    Source,
    Status,
)
from kvot.core.window import INSTANT_MAX, MS_PER_DAY
from kvot.stores.memory import MemoryStore

COMPANY = "11111111-1111-4111-8111-111111111111"
T0 = 1_790_000_000_000

Ask = Callable[[Ledger], Awaitable[object]]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(MemoryStore(Rules()), lambda: T0)


BAD: list[tuple[str, str, Ask]] = [
    ("Id", "Length", lambda ledger: ledger.record(COMPANY, NewEvent("", 1))),
    ("Id", "Length", lambda ledger: ledger.record(COMPANY, NewEvent("x" * 256, 1))),
    ("Id", "RegularExpression", lambda ledger: ledger.record(COMPANY, NewEvent("a b", 1))),
    ("Id", "RegularExpression", lambda ledger: ledger.record(COMPANY, NewEvent("hold→h", 1))),
    ("Id", "RegularExpression", lambda ledger: ledger.record(COMPANY, NewEvent("a\n", 1))),
    ("Tokens", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, NewEvent("e", 0))),
    ("Tokens", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, NewEvent("e", -1))),
    ("Tokens", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, NewEvent("e", TOKENS_MAX + 1))),
    ("At", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, NewEvent("e", 1, 0))),
    ("At", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, NewEvent("e", 1, INSTANT_MAX + 1))),
    ("Model", "Length", lambda ledger: ledger.record(COMPANY, event_with(CallDetail(model="m" * 256)))),
    ("InputTokens", "InclusiveBetween", lambda ledger: ledger.record(COMPANY, event_with(CallDetail(input_tokens=-1)))),
    ("EventId", "Length", lambda ledger: ledger.correct(COMPANY, Correction("", "e", 1, "ann"))),
    (
        "Tokens",
        "InclusiveBetween",
        lambda ledger: ledger.correct(COMPANY, Correction("c", "e", -TOKENS_MAX - 1, "ann")),
    ),
    ("Reason", "Length", lambda ledger: ledger.correct(COMPANY, Correction("c", "e", 1, "ann", "r" * 256))),
    (
        "Reason",
        "RegularExpression",
        lambda ledger: ledger.correct(COMPANY, Correction("c", "e", 1, "ann", "caf\udce9")),
    ),
    ("Model", "RegularExpression", lambda ledger: ledger.record(COMPANY, event_with(CallDetail(model="\ud800")))),
    ("At", "InclusiveBetween", lambda ledger: ledger.usage(COMPANY, at_ms=0)),
    ("WindowDays", "InclusiveBetween", lambda ledger: ledger.usage(COMPANY, window_ms=0)),
    ("WindowDays", "InclusiveBetween", lambda ledger: ledger.usage(COMPANY, window_ms=401 * MS_PER_DAY)),
    ("Edges", "InclusiveBetween", lambda ledger: ledger.series(COMPANY, [])),
    ("Edges", "InclusiveBetween", lambda ledger: ledger.series(COMPANY, [T0] * (SERIES_EDGES_MAX + 1))),
    ("Edges", "InclusiveBetween", lambda ledger: ledger.series(COMPANY, [T0, 0])),
    ("By", "Enum", lambda ledger: ledger.breakdown(COMPANY, "tokens", first_hour=0, end_hour=1)),
    ("Tokens", "InclusiveBetween", lambda ledger: ledger.fits_at(COMPANY, -1)),
    ("HoldId", "RegularExpression", lambda ledger: ledger.reserve(COMPANY, NewHold("h h", 1, 1))),
    ("Tokens", "InclusiveBetween", lambda ledger: ledger.reserve(COMPANY, NewHold("h", -1, 1))),
    ("TtlMs", "InclusiveBetween", lambda ledger: ledger.reserve(COMPANY, NewHold("h", 1, 0))),
    ("TtlMs", "InclusiveBetween", lambda ledger: ledger.reserve(COMPANY, NewHold("h", 1, HOLD_TTL_MAX_MS + 1))),
    ("User", "Length", lambda ledger: ledger.reserve(COMPANY, NewHold("h", 1, 1, user="u" * 256))),
    ("HoldId", "Length", lambda ledger: ledger.dispatch(COMPANY, "")),
    ("TtlMs", "InclusiveBetween", lambda ledger: ledger.renew(COMPANY, "h", 0)),
    ("TokensUsed", "InclusiveBetween", lambda ledger: ledger.settle(COMPANY, "h", Settlement(-1))),
    ("Receipt", "Length", lambda ledger: ledger.settle(COMPANY, "h", Settlement(1, receipt="x" * 8_193))),
    ("HoldId", "Length", lambda ledger: ledger.release(COMPANY, "")),
    ("HoldId", "Length", lambda ledger: ledger.hold(COMPANY, "")),
    ("TokenLimit", "InclusiveBetween", lambda ledger: set_budget(ledger, Budget(2**31, 30))),
    ("TokenLimit", "InclusiveBetween", lambda ledger: set_budget(ledger, Budget(-1, 30))),
    ("WindowDays", "InclusiveBetween", lambda ledger: set_budget(ledger, Budget(1, 0))),
    ("WindowDays", "InclusiveBetween", lambda ledger: set_budget(ledger, Budget(1, 401))),
    ("At", "InclusiveBetween", lambda ledger: ledger.budget(COMPANY, at_ms=0)),
]


def event_with(detail: CallDetail) -> NewEvent:
    return NewEvent("e", 1, detail=detail)


def set_budget(ledger: Ledger, budget: Budget) -> Awaitable[object]:
    return ledger.set_budget(COMPANY, budget, actor="ann", reason=None)


@pytest.mark.parametrize(("field", "code", "ask"), BAD)
async def test_a_bad_value_is_refused_by_name_before_the_engine_sees_it(
    ledger: Ledger, field: str, code: str, ask: Ask
):
    with pytest.raises(InvalidRequest) as raised:
        await ask(ledger)
    assert [(fault.field, fault.code) for fault in raised.value.fields] == [(field, code)]
    assert await ledger.companies() == []


def test_values_at_their_bounds_are_taken():
    check_event(NewEvent("x" * 255, TOKENS_MAX, INSTANT_MAX, detail=CallDetail(model="m" * 255, input_tokens=0)))
    check_event(NewEvent("!~", 1, 1))


@pytest.mark.parametrize(
    "detail",
    [
        CallDetail(input_tokens=1, output_tokens=1),
        CallDetail(input_tokens=60, output_tokens=60),
        CallDetail(input_tokens=5, cached_tokens=6),
        CallDetail(output_tokens=5, reasoning_tokens=6),
    ],
)
async def test_parts_that_do_not_add_up_are_taken_as_they_are_and_the_sum_counts(ledger: Ledger, detail: CallDetail):
    recorded = await ledger.record(COMPANY, NewEvent("e", 100, detail=detail))
    await ledger.reserve(COMPANY, NewHold("h", 10, 60_000))
    settled = await ledger.settle(COMPANY, "h", Settlement(100, Source.REPORTED, detail))
    assert (recorded.status, settled.status, settled.usage.tokens_used) == (Status.DONE, Status.DONE, 200)


async def test_a_refusal_of_a_bound_names_the_bound_and_the_value(ledger: Ledger):
    with pytest.raises(InvalidRequest) as raised:
        await ledger.record(COMPANY, NewEvent("e", 0))
    assert raised.value.message == f"'Tokens' must be between 1 and {TOKENS_MAX}. You entered 0."
    meta = {"PropertyName": "Tokens", "PropertyValue": "0", "From": "1", "To": str(TOKENS_MAX)}
    assert raised.value.fields[0].meta == meta


async def test_an_operation_reads_the_clock_once():
    ticks: Iterator[int] = iter(range(T0, T0 + 100))
    ledger = Ledger(MemoryStore(Rules()), lambda: next(ticks))
    assert (await ledger.record(COMPANY, NewEvent("e", 5))).at_ms == T0
    assert (await ledger.usage(COMPANY)).at_ms == T0 + 1
    assert await ledger.record_many(EventColumns.of([(COMPANY, NewEvent("f", 5))])) == [Status.DONE]
    assert await ledger.fits_at(COMPANY, 1) == T0 + 3
    await ledger.prune(COMPANY)
    await ledger.verify(COMPANY)
    await ledger.verify_shared()
    assert ledger.now_ms() == T0 + 7


async def test_a_hold_goes_its_way_through_the_ledger(ledger: Ledger):
    await set_budget(ledger, Budget(100, 30))
    assert (await ledger.reserve(COMPANY, NewHold("h", 80, 1000))).status is Status.DONE
    assert (await ledger.dispatch(COMPANY, "h")).status is Status.DONE
    assert (await ledger.renew(COMPANY, "h", 2000)).status is Status.DONE
    assert (await ledger.settle(COMPANY, "h", Settlement(60))).status is Status.DONE
    assert (await ledger.release(COMPANY, "h")).status is Status.CONFLICT
    assert (await ledger.hold(COMPANY, "h")).usage.tokens_used == 60
    assert await ledger.expire() == 0
    await ledger.ready()


async def test_edges_of_a_series_may_come_in_any_order(ledger: Ledger):
    await ledger.record(COMPANY, NewEvent("e", 5))
    series = await ledger.series(COMPANY, [T0 + 1, T0])
    assert (series.edges_ms, series.tokens) == ((T0, T0 + 1), (5,))


async def test_pruning_reaches_no_later_than_retention(ledger: Ledger):
    latest = await ledger.prune(COMPANY, T0)
    assert latest == await ledger.prune(COMPANY)
    assert latest.floor_at_ms < T0 - 400 * MS_PER_DAY
