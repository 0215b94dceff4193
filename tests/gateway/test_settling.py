"""What was charged for a repeated call is taken back whole, however its hold had ended; what no store takes is said."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import CallDetail, Correction, HoldChange, NewHold, Recorded, Settlement, Source
from kvot.core.store import settlement_event_id
from kvot.core.window import MS_PER_HOUR
from kvot.gateway import settling
from kvot.gateway.settling import Settler
from kvot.stores.memory import MemoryStore
from kvot.stores.sqlite import SqliteStore
from kvot.telemetry.tally import Tally
from tests.conformance.scene import COMPANY, T0

TTL_MS = 60_000
WITHIN_S = 10.0
HOLD = NewHold("h", 1_000, TTL_MS, dispatched=True, model="m")
SETTLEMENT = Settlement(21, Source.ESTIMATED, CallDetail(input_tokens=9, output_tokens=12))


class Clock:
    now_ms = T0

    def __call__(self) -> int:
        return self.now_ms


async def is_settled(ledger: Ledger, clock: Clock) -> None:
    await ledger.settle(COMPANY, "h", SETTLEMENT)


async def is_on_its_way(ledger: Ledger, clock: Clock) -> None:
    pass


async def ran_out(ledger: Ledger, clock: Clock) -> None:
    clock.now_ms += TTL_MS
    await ledger.expire()
    assert await used(ledger) == HOLD.amount


def nothing() -> None:
    pass


async def used(ledger: Ledger) -> int:
    usage = await ledger.usage(COMPANY)
    return usage.tokens_used + usage.tokens_held


async def take_back(before: Callable[[Ledger, Clock], Awaitable[None]]) -> tuple[Ledger, Tally]:
    clock, tally = Clock(), Tally()
    ledger = Ledger(MemoryStore(Rules()), clock)
    settler = Settler(ledger)
    await ledger.reserve(COMPANY, HOLD)
    await before(ledger, clock)
    settler.take_back(COMPANY, "h", SETTLEMENT, tally, nothing)
    await settler.finish(WITHIN_S)
    return ledger, tally


@pytest.mark.parametrize("before", [is_settled, is_on_its_way, ran_out])
async def test_nothing_of_its_charge_stays_and_a_settlement_that_comes_late_changes_nothing(before):
    ledger, tally = await take_back(before)
    assert (await used(ledger), tally.corrected_tokens) == (0, SETTLEMENT.tokens)
    await ledger.settle(COMPANY, "h", SETTLEMENT)
    assert await used(ledger) == 0
    assert (await ledger.verify(COMPANY)).differences == ()


async def test_what_somebody_took_back_by_hand_is_not_counted_as_ours():
    async def is_corrected(ledger: Ledger, clock: Clock) -> None:
        await is_settled(ledger, clock)
        await ledger.correct(COMPANY, Correction("c", settlement_event_id("h"), -21, "somebody"))

    ledger, tally = await take_back(is_corrected)
    assert (await used(ledger), tally.corrected_tokens) == (0, 0)


async def test_of_two_processes_that_take_the_same_back_one_counts_it():
    ledger = Ledger(MemoryStore(Rules()), Clock())
    await ledger.reserve(COMPANY, HOLD)
    tallies, told = (Tally(), Tally()), list[Tally]()
    for tally in tallies:
        settler = Settler(ledger)
        settler.take_back(COMPANY, "h", SETTLEMENT, tally, partial(told.append, tally))
        await settler.finish(WITHIN_S)
    assert [tally.corrected_tokens for tally in tallies] == [SETTLEMENT.tokens, 0]
    assert told == [tallies[1]]  # may take back another attempt


class Silent(MemoryStore):
    """A store that corrects, and whose first answer to that is lost."""

    answers = False

    async def correct(self, *asked: Any, **more: Any) -> Recorded:
        recorded = await super().correct(*asked, **more)
        if not self.answers:
            self.answers = True
            raise StoreUnavailable("the answer was lost")
        return recorded


async def in_the_background(settler: Settler, tally: Tally) -> None:
    told = list[Tally]()
    settler.take_back(COMPANY, "h", SETTLEMENT, tally, partial(told.append, tally))
    await settler.finish(WITHIN_S)
    assert told == []


async def at_once(settler: Settler, tally: Tally) -> None:
    with pytest.raises(StoreUnavailable):
        await settler.take_back_charge(COMPANY, "h", SETTLEMENT.tokens, tally)
    assert await settler.take_back_charge(COMPANY, "h", SETTLEMENT.tokens, tally)


@pytest.mark.parametrize("take", [in_the_background, at_once])
async def test_what_was_taken_back_without_an_answer_is_counted_once(take, monkeypatch):
    monkeypatch.setattr(settling, "PAUSE_MIN_S", 0)
    ledger, tally = Ledger(Silent(Rules()), Clock()), Tally()
    settler = Settler(ledger)
    await ledger.reserve(COMPANY, HOLD)
    await ledger.settle(COMPANY, "h", SETTLEMENT)
    await take(settler, tally)
    assert (await used(ledger), tally.corrected_tokens) == (0, SETTLEMENT.tokens)
    assert not await settler.take_back_charge(COMPANY, "h", SETTLEMENT.tokens, tally)  # another answer's
    assert tally.corrected_tokens == SETTLEMENT.tokens


async def is_released(ledger: Ledger) -> None:
    await ledger.release(COMPANY, "h")


async def is_charged_and_released(ledger: Ledger) -> None:
    await ledger._store.expire(COMPANY, now_ms=T0 + TTL_MS)
    await ledger.release(COMPANY, "h")


@pytest.mark.parametrize("drop", [is_released, is_charged_and_released])
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_a_call_whose_hold_somebody_dropped_is_charged_once_all_the_same(drop, engine, tmp_path):
    store = MemoryStore(Rules()) if engine == "memory" else SqliteStore.open(tmp_path / "kvot.db", Rules())
    ledger = Ledger(store, Clock())
    settler = Settler(ledger)
    await ledger.reserve(COMPANY, HOLD)
    await drop(ledger)
    await settler.end(COMPANY, "h", SETTLEMENT)
    await settler.finish(WITHIN_S)
    assert await used(ledger) == SETTLEMENT.tokens
    await settler.end(COMPANY, "h", SETTLEMENT)  # its first try may have got no answer
    settler.end_later(COMPANY, "h", SETTLEMENT)
    await settler.finish(WITHIN_S)
    assert await used(ledger) == SETTLEMENT.tokens
    hour = T0 // MS_PER_HOUR
    shares = await ledger.breakdown(COMPANY, "model", first_hour=hour, end_hour=hour + 1)
    (share,) = [each for each in shares if each.tokens]
    assert (share.label, share.tokens, share.input_tokens, share.output_tokens) == ("m", 21, 9, 12)
    assert (await ledger.verify(COMPANY)).differences == ()
    await store.close()


async def test_a_call_whose_hold_is_gone_is_charged_all_the_same(tmp_path):
    ledger = Ledger(MemoryStore(Rules()), Clock())
    await Settler(ledger).end(COMPANY, "h", SETTLEMENT)
    await Settler(ledger).end(COMPANY, "h", SETTLEMENT)
    assert await used(ledger) == SETTLEMENT.tokens


async def test_nothing_stays_of_a_repeated_call_whose_hold_somebody_dropped():
    async def was_dropped(ledger: Ledger, clock: Clock) -> None:
        await ledger.release(COMPANY, "h")
        await Settler(ledger).end(COMPANY, "h", SETTLEMENT)

    ledger, tally = await take_back(was_dropped)
    assert (await used(ledger), tally.corrected_tokens) == (0, SETTLEMENT.tokens)


async def test_a_hold_that_its_own_call_settled_is_not_charged_a_second_time():
    ledger = Ledger(MemoryStore(Rules()), Clock())
    await ledger.reserve(COMPANY, HOLD)
    await ledger.settle(COMPANY, "h", SETTLEMENT)
    await Settler(ledger).end(COMPANY, "h", SETTLEMENT._replace(tokens=30))
    assert await used(ledger) == SETTLEMENT.tokens


END_A_HOLD = {
    "settlement": lambda settler: settler.end_later(COMPANY, "h", SETTLEMENT),
    "release": lambda settler: settler.end_later(COMPANY, "h", None),
    "correction": lambda settler: settler.take_back(COMPANY, "h", SETTLEMENT, Tally(), nothing),
}


@pytest.mark.parametrize("write", END_A_HOLD)
async def test_what_no_store_takes_before_the_end_is_in_the_log_with_its_figures(write):
    store = MemoryStore(Rules())
    await store.close()
    settler = Settler(Ledger(store, Clock()))
    with capture_logs() as lines:
        END_A_HOLD[write](settler)
        await settler.finish(0.0)
    said = {"write": write, "company": COMPANY, "hold": "h", "tokens": 0 if write == "release" else SETTLEMENT.tokens}
    assert lines == [{"event": "write given up", "log_level": "error", "room": "kvot.gateway"} | said]


async def test_calls_that_find_their_store_away_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(settling, "UNSURE_MAX", 3)
    store = MemoryStore(Rules())
    await store.close()
    settler = Settler(Ledger(store, Clock()))
    with capture_logs() as lines:
        for number in range(5):
            settler.end_later(COMPANY, f"h{number}", None, is_sure=False)
        settler.end_later(COMPANY, "used", SETTLEMENT)
        assert [line["hold"] for line in lines] == ["h3", "h4"]
        await settler.finish(0.0)
    assert [line["hold"] for line in lines] == ["h3", "h4", "h0", "h1", "h2", "used"]


class Away(MemoryStore):
    """A store that cannot be reached for so many writes."""

    left = 40

    async def settle(self, *asked: Any, **more: Any) -> HoldChange:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("away")
        return await super().settle(*asked, **more)


async def test_a_settlement_waits_for_its_store_however_long_that_is_away(monkeypatch):
    monkeypatch.setattr(settling, "PAUSE_MIN_S", 0)
    clock = Clock()
    ledger = Ledger(Away(Rules()), clock)
    settler = Settler(ledger)
    await ledger.reserve(COMPANY, HOLD)
    await ran_out(ledger, clock)  # it was charged whole meanwhile
    await settler.end(COMPANY, "h", SETTLEMENT)
    await settler.finish(WITHIN_S)
    assert await used(ledger) == SETTLEMENT.tokens
