"""The list of open holds: which are on it, what it says of each, and in which order."""

from kvot.core.model import HoldState
from tests.conformance.scene import COMPANY, MINUTE, OTHER, T0, Scene


async def listed(scene: Scene, limit: int = 10, now_ms: int = T0, company: str = COMPANY) -> list[str]:
    return [hold.hold_id for hold in await scene.store.open_holds(company, limit=limit, now_ms=now_ms)]


async def test_open_holds_are_listed_with_all_that_is_known_of_them(scene: Scene):
    reserved = await scene.reserve("h", 80, provider="p", model="m", user="ann", feature="chat", dispatched=True)
    bare = await scene.reserve("bare", 1, ttl_ms=1)
    assert await scene.store.open_holds(COMPANY, limit=10, now_ms=T0) == [reserved.hold, bare.hold]
    assert (await scene.store.open_holds(COMPANY, limit=10, now_ms=T0))[0].state is HoldState.OPEN


async def test_those_that_last_longest_come_first_as_many_as_are_asked_for(scene: Scene):
    for name, ttl_ms in (("b", 200), ("d", 400), ("a", 100), ("c", 300)):
        await scene.reserve(name, 1, ttl_ms=ttl_ms)
    await scene.renew("a", 500)
    assert await listed(scene) == ["a", "d", "c", "b"]
    assert await listed(scene, limit=2) == ["a", "d"]


async def test_whatever_has_ended_is_not_listed(scene: Scene):
    for name in ("settled", "released", "open"):
        await scene.reserve(name, 1)
    await scene.reserve("ran out", 1, ttl_ms=1, dispatched=True)
    await scene.settle("settled", 1)
    await scene.release("released")
    assert await listed(scene, now_ms=T0 + 1) == ["open"]
    assert await listed(scene, now_ms=T0 + MINUTE) == []


async def test_a_list_changes_nothing(scene: Scene):
    await scene.reserve("h", 80, ttl_ms=1, dispatched=True)
    assert await listed(scene, now_ms=T0 + 1) == []
    assert await listed(scene) == ["h"]


async def test_each_company_has_its_own(scene: Scene):
    await scene.reserve("h", 80)
    await scene.reserve("other", 80, company=OTHER)
    assert (await listed(scene), await listed(scene, company=OTHER)) == (["h"], ["other"])
    assert await listed(scene, company="33333333-3333-4333-8333-333333333333") == []
