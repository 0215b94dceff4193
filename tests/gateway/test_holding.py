"""How much is held for a call while others take what is left."""

from dataclasses import dataclass
from typing import Any

import pytest

from kvot.core.budget import Budget, Rules
from kvot.core.ledger import Ledger
from kvot.core.model import Decision, NewEvent, NewHold
from kvot.core.window import MS_PER_DAY
from kvot.gateway.dialect import Named, Size
from kvot.gateway.holding import Ceilings, Exhausted, Held, hold
from kvot.stores.memory import MemoryStore
from tests.conformance.scene import COMPANY, T0

LIMIT = 1_000
INPUT = 50
LEAST = 16
CALL = NewHold("call", 1, 60_000, dispatched=True)


@dataclass
class Asks:
    """A call of the dialects, as far as holds look at it."""

    output_max: int | None = 2_000
    output_min: int = 1
    answers: int = 1
    model: str = "m"
    is_stream: bool = False
    size: Size = Size(0)  # noqa: RUF009 (immutable)
    stored: Named | None = None

    def body(self, output_max: int | None = None) -> bytes:
        return b""


class Crowd(MemoryStore):
    """Others who take so many tokens each time, just before the call asks. `asked`: what it asked for."""

    def __init__(self, *takes: int) -> None:
        super().__init__(Rules(default_budget=Budget(LIMIT, 30)))
        self._takes = list(takes)
        self.asked: list[int] = []

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        self.asked.append(hold.amount)
        if self._takes:
            other = NewHold(f"other{len(self.asked)}", self._takes.pop(0), 60_000)
            await super().reserve(company_id, other, now_ms=now_ms)
        return await super().reserve(company_id, hold, now_ms=now_ms)


async def held_in(crowd: Crowd, **ask: Any) -> Held | Exhausted:
    return await hold(Ledger(crowd, lambda: T0), COMPANY, CALL, Asks(**ask), INPUT, Ceilings(4_096, LEAST, clamps=True))


@pytest.mark.parametrize(
    ("takes", "output"),
    [
        ((), LIMIT - INPUT),
        ((0, 100), LIMIT - INPUT - 100),  # lost once: still all that is left
        ((0, 100, 100), LEAST),
        ((0, 100, 100, 100), LEAST),
        ((0, 100, 100, LIMIT - 200 - INPUT - LEAST), LEAST),
    ],
)
async def test_it_gets_all_that_is_left_and_where_others_are_always_sooner_the_least(takes, output):
    held = await held_in(Crowd(*takes))
    assert isinstance(held, Held)
    assert (held.output_max, held.amount, held.is_clamped) == (output, INPUT + output, True)


async def test_it_is_refused_only_once_others_left_less_than_the_least():
    crowd = Crowd(0, 100, 100, LIMIT - 200 - INPUT - LEAST + 1)
    refused = await held_in(crowd)
    assert isinstance(refused, Exhausted)
    assert (refused.amount, refused.limits.tokens_remaining) == (INPUT + LEAST, INPUT + LEAST - 1)
    assert crowd.asked == [INPUT + 2_000, LIMIT, LIMIT - 100, INPUT + LEAST]


async def test_who_fits_at_once_asks_once():
    crowd = Crowd()
    held = await held_in(crowd, output_max=100)
    assert isinstance(held, Held)
    assert (held.output_max, held.is_clamped, crowd.asked) == (None, False, [INPUT + 100])


async def test_where_events_ahead_of_the_clock_are_in_its_way_it_gets_half_of_what_it_asked_for():
    crowd = Crowd()
    await crowd.record(COMPANY, NewEvent("ahead", LIMIT - INPUT - 350, T0 + 250_000), now_ms=T0)
    held = await held_in(crowd, output_max=700)
    assert isinstance(held, Held)
    assert (held.output_max, crowd.asked) == (350, [INPUT + 700, INPUT + 350])


class Apart(Crowd):
    """An engine with a clock of its own, as PostgreSQL has."""

    def __init__(self, ahead_ms: int) -> None:
        super().__init__()
        self._ahead_ms = ahead_ms

    async def reserve(self, company_id: str, hold: NewHold, *, now_ms: int, is_alone: bool = False) -> Decision:
        return await super().reserve(company_id, hold, now_ms=now_ms + self._ahead_ms)

    async def fits_at(self, company_id: str, tokens: int, *, now_ms: int) -> int | None:
        return await super().fits_at(company_id, tokens, now_ms=now_ms + self._ahead_ms)


@pytest.mark.parametrize("ahead_ms", [0, 240_000, -240_000])
async def test_the_wait_is_by_the_clock_of_the_engine(ahead_ms):
    apart = Apart(ahead_ms)
    await apart.record(COMPANY, NewEvent("used", LIMIT), now_ms=T0 + ahead_ms - 1)
    refused = await held_in(apart)
    assert isinstance(refused, Exhausted)
    assert refused.limits.fits_after_ms == 30 * MS_PER_DAY - 1
