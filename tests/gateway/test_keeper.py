"""A hold is kept as long as its call needs it: what ends a call whose hold has ended is its own time alone."""

import asyncio
import selectors
from typing import Any

import pytest

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.model import HoldChange, NewHold, Settlement
from kvot.gateway.headed import Headed
from kvot.gateway.keeper import HoldKeeper
from kvot.stores.memory import MemoryStore
from tests.conformance.scene import COMPANY, T0
from tests.gateway.calls import ask
from tests.provider import Script

TTL_MS = 60
LONGEST_S = 0.2
HOLD = NewHold("h", 100, TTL_MS, dispatched=True)


@pytest.mark.parametrize(("is_let_go", "is_over"), [(True, True), (False, False)])
async def test_a_call_whose_hold_has_ended_may_take_as_long_as_any(is_let_go, is_over):
    """A client that reads the end of its reply slowly is no reason to cut it: nothing is left to be kept."""
    ledger, loop = Ledger(MemoryStore(Rules()), lambda: T0), asyncio.get_running_loop()
    cut: asyncio.Future[bool] = loop.create_future()
    await ledger.reserve(COMPANY, HOLD)
    keeper = HoldKeeper(ledger, COMPANY, "h", TTL_MS, loop.time(), LONGEST_S, cut.set_result)
    await ledger.settle(COMPANY, "h", Settlement(60))
    if is_let_go:
        keeper.let_go()
    assert await cut is is_over
    keeper.stop()


class Waits(selectors.SelectSelector):
    """Waits for nobody: the time that it would have waited has passed at once."""

    now_s = 1_000.0

    def select(self, timeout: float | None = None) -> Any:
        self.now_s += timeout or 0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """Its time is that of its timers, and none of it passes between them."""

    def __init__(self) -> None:
        self._waits = Waits()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.now_s


class NotedLedger(Ledger):
    """Notes when each renewal was asked for, in the loop's seconds since its beginning, which is its clock as well."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.began_s = loop.time()
        self.renewed_at_s: list[float] = []
        super().__init__(MemoryStore(Rules()), lambda: T0 + round((loop.time() - self.began_s) * 1_000))

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int) -> HoldChange:
        self.renewed_at_s.append(asyncio.get_running_loop().time() - self.began_s)
        return await super().renew(company_id, hold_id, ttl_ms)


async def kept(ttl_s: int, longest_s: int) -> list[float]:
    """When a hold was renewed until its call had to end, and when that was."""
    ledger, loop = NotedLedger(), asyncio.get_running_loop()
    cut = loop.create_future()
    await ledger.reserve(COMPANY, HOLD._replace(ttl_ms=1_000 * ttl_s))
    HoldKeeper(ledger, COMPANY, "h", 1_000 * ttl_s, ledger.began_s, longest_s, cut.set_result)
    assert await cut is True
    return [*ledger.renewed_at_s, loop.time() - ledger.began_s]


def test_a_hold_is_renewed_at_each_third_of_its_time_neither_sooner_nor_later():
    """Sooner would be writes for nothing; later, one that failed would leave no time for two more."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(kept(30, longest_s=45)) == pytest.approx([10, 20, 30, 40, 45], abs=0.01)


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize("status", [200, 400])
async def test_a_hold_is_let_go_before_a_slow_client_has_the_end_of_its_reply(open_scene, monkeypatch, call, status):
    let_go, end, told = HoldKeeper.let_go, Headed.end, []

    def tell_let_go(keeper: HoldKeeper) -> None:
        told.append("let go")
        let_go(keeper)

    async def tell_end(headed: Headed) -> None:
        await asyncio.sleep(0)
        told.append("end")
        await end(headed)

    monkeypatch.setattr(HoldKeeper, "let_go", tell_let_go)
    monkeypatch.setattr(Headed, "end", tell_end)
    scene = await open_scene(Script(status=status))
    assert (await ask(scene, call)).status == status
    assert told == ["let go", "end"]
