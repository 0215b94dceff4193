"""Holds found by the tag that their ids end in: which are looked at, and what is told of each."""

from typing import Any

import pytest

from kvot.core.model import HoldEnd, HoldState, Source
from tests.conformance.scene import COMPANY, MINUTE, OTHER, T0, Scene

TAG = "0123456789"


def tagged(number: int, tag: str = TAG) -> str:
    return f"01a20522-f85f-84a7-9a30-{number:02x}{tag}"


async def found(
    scene: Scene, *, within_ms: int = MINUTE, limit: int = 10, now_ms: int = T0, company: str = COMPANY
) -> list[HoldEnd]:
    return await scene.store.tagged_holds(company, [TAG], within_ms=within_ms, limit=limit, now_ms=now_ms)


async def ids(scene: Scene, **asked: Any) -> list[str]:
    return [each.hold_id for each in await found(scene, **asked)]


async def test_each_is_told_as_it_stands(scene: Scene):
    for number in range(5):
        await scene.reserve(tagged(number), 80, dispatched=number != 4, ttl_ms=MINUTE - number, now_ms=T0 + number)
    await scene.settle(tagged(0), 60, source=Source.PARTIAL, now_ms=T0 + 9)
    await scene.release(tagged(1), now_ms=T0 + 9)
    await scene.renew(tagged(2), 2 * MINUTE, now_ms=T0 + 9)
    told = await found(scene, within_ms=2 * MINUTE, now_ms=T0 + MINUTE)
    assert told == [
        HoldEnd(tagged(4), HoldState.EXPIRED, T0 + MINUTE, T0 + MINUTE, 80, None),
        HoldEnd(tagged(3), HoldState.CHARGED, T0 + MINUTE, T0 + MINUTE, 80, None),
        HoldEnd(tagged(2), HoldState.OPEN, T0 + 9 + 2 * MINUTE, None, 80, None),
        HoldEnd(tagged(1), HoldState.RELEASED, T0 + MINUTE, T0 + 9, 80, None),
        HoldEnd(tagged(0), HoldState.SETTLED, T0 + MINUTE, T0 + 9, 60, Source.PARTIAL),
    ]
    await scene.store.expire(now_ms=T0 + MINUTE)
    assert await found(scene, within_ms=2 * MINUTE, now_ms=T0 + MINUTE) == told


@pytest.mark.parametrize("other", [tagged(1, "0123456788"), f"h-{TAG}", TAG, tagged(1).upper() + TAG, "h"])
async def test_only_uuids_that_end_in_the_tag_are_found(scene: Scene, other):
    await scene.reserve(other, 80)
    await scene.reserve(tagged(2), 80)
    assert await ids(scene) == [tagged(2)]


async def test_of_those_that_have_ended_only_what_was_made_lately_is_found(scene: Scene):
    for number in range(3):
        await scene.reserve(tagged(number), 80, now_ms=T0 + number)
    await scene.settle(tagged(0), 1, now_ms=T0 + 3)
    await scene.settle(tagged(1), 1, now_ms=T0 + 3)
    assert await ids(scene, within_ms=2, now_ms=T0 + 3) == [tagged(2)]
    assert await ids(scene, within_ms=3, now_ms=T0 + 3) == [tagged(2), tagged(1)]


async def test_no_more_than_the_last_ones_and_the_open_ones_are_looked_at(scene: Scene):
    for number in range(4):
        await scene.reserve(tagged(number), 1, ttl_ms=MINUTE - 10 * number, now_ms=T0 + number)
    await scene.settle(tagged(0), 1, now_ms=T0 + 4)
    assert await ids(scene, limit=1, now_ms=T0 + 4) == [tagged(3), tagged(1)]


async def test_another_company_s_are_not_found(scene: Scene):
    await scene.reserve(tagged(0), 80, company=OTHER)
    assert await found(scene) == []
    assert len(await found(scene, company=OTHER)) == 1


async def test_several_tags_are_looked_for_at_once(scene: Scene):
    for number, tag in enumerate((TAG, "9876543210", "ffffffffff")):
        await scene.reserve(tagged(number, tag), 80, now_ms=T0 + number)
    asked = [TAG, "ffffffffff", "0000000000"]
    told = await scene.store.tagged_holds(COMPANY, asked, within_ms=MINUTE, limit=10, now_ms=T0 + 3)
    assert [each.hold_id for each in told] == [tagged(2, "ffffffffff"), tagged(0)]
