"""The ledger is told whether a call is the only one: an engine that makes no way for others answers it sooner."""

import asyncio
from typing import Any

from kvot.core.model import Decision
from tests.gateway.calls import ask
from tests.provider import Script


async def test_a_call_is_alone_as_long_as_no_other_is_under_way(open_scene, monkeypatch):
    pace, told = asyncio.Semaphore(0), []
    scene = await open_scene(Script(pace=pace))
    reserve = scene.house.store.reserve

    async def reserved(*values: Any, is_alone: bool, **others: Any) -> Decision:
        told.append(is_alone)
        decision: Decision = await reserve(*values, is_alone=is_alone, **others)
        return decision

    monkeypatch.setattr(scene.house.store, "reserve", reserved)
    calls = []
    for number, call in enumerate(("chat-stream", "messages"), 1):
        calls.append(asyncio.create_task(ask(scene, call)))
        await scene.provider.arrival(number)
    for _ in range(50):
        pace.release()
    assert [(await each).status for each in calls] == [200, 200]
    await ask(scene, "chat")
    assert told == [True, False, True]
