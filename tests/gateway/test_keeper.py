"""A hold is kept as long as its call needs it: what ends a call whose hold has ended is its own time alone."""

import asyncio

import pytest

from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.model import NewHold, Settlement
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


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize("status", [200, 400])
async def test_a_hold_is_let_go_before_the_end_of_the_reply_goes_out(open_scene, monkeypatch, call, status):
    let_go, end, told = HoldKeeper.let_go, Headed.end, []

    def tell_let_go(keeper: HoldKeeper) -> None:
        told.append("let go")
        let_go(keeper)

    async def tell_end(headed: Headed) -> None:
        told.append("end")
        await end(headed)

    monkeypatch.setattr(HoldKeeper, "let_go", tell_let_go)
    monkeypatch.setattr(Headed, "end", tell_end)
    scene = await open_scene(Script(status=status))
    assert (await ask(scene, call)).status == status
    assert told == ["let go", "end"]
