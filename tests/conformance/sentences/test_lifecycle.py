"""Opening and closing: ready while open, and after that no answer rather than a wrong one."""

import pytest

from kvot.core.budget import Budget
from kvot.core.errors import StoreUnavailable
from kvot.core.model import EventColumns, NewEvent
from tests.conformance.scene import COMPANY, T0, Scene


async def test_an_open_engine_is_ready_and_knows_its_rules(scene: Scene):
    await scene.store.ready()
    assert scene.store.rules == scene.rules


async def test_a_closed_engine_answers_nothing(scene: Scene):
    await scene.record("e", 1)
    store = scene.store
    await store.close()
    for question in (
        store.ready,
        lambda: store.record(COMPANY, NewEvent("f", 1), now_ms=T0),
        lambda: store.record_many(EventColumns.of([(COMPANY, NewEvent("f", 1))]), now_ms=T0),
        lambda: scene.correct("c", "e", 1),
        lambda: store.usage(COMPANY, now_ms=T0),
        lambda: store.series(COMPANY, [T0], now_ms=T0),
        lambda: store.breakdown(COMPANY, "model", first_hour=0, end_hour=1, now_ms=T0),
        lambda: store.fits_at(COMPANY, 1, now_ms=T0),
        lambda: scene.reserve("h", 1),
        lambda: scene.dispatch("h"),
        lambda: scene.renew("h", 1),
        lambda: scene.settle("h", 1),
        lambda: scene.release("h"),
        lambda: scene.hold("h"),
        lambda: store.expire(now_ms=T0),
        lambda: store.set_budget(COMPANY, Budget(1, 1), actor="ann", reason=None, now_ms=T0),
        lambda: store.budget(COMPANY, now_ms=T0),
        store.companies,
        lambda: store.prune(COMPANY, T0, now_ms=T0),
        lambda: store.verify(COMPANY, now_ms=T0),
        lambda: store.verify_shared(now_ms=T0),
        lambda: store.find_key("k"),
        store.list_keys,
    ):
        with pytest.raises(StoreUnavailable):
            await question()


async def test_an_engine_may_be_opened_again_and_again(scene: Scene):
    for number in range(3):
        await scene.record(f"e{number}", 10)
        await scene.reopen()
    assert await scene.used() == 30
