"""What people decided leaves a line in the audit log: here, what they put right in the figures of calls."""

import pytest

from kvot.core.model import Status
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, Scene


async def lines(scene: Scene) -> list[tuple[object, ...]]:
    """The log as it stands, which must hold."""
    found = await scene.audit()
    proved = await scene.store.verify_shared(now_ms=T0 + DAY)
    assert (proved.audit_lines, proved.differences) == (len(found), ())
    return [tuple(line) for line in found]


def need_audit(scene: Scene) -> None:
    if scene.engine.archive is None or not scene.engine.archive.keeps_audit:
        pytest.skip("the engine keeps no audit log")


async def test_a_correction_leaves_a_line_of_whose_doing_it_is(scene: Scene):
    need_audit(scene)
    await scene.record("e", 10)
    for _ in range(2):
        await scene.correct("c", "e", -4, reason="twice", actor="ann", now_ms=T0 + MINUTE)
    detail = '{"reason":"twice","target":"e","tokens":-4}'
    assert await lines(scene) == [(T0 + MINUTE, "ann", "correct", COMPANY, "c", detail)]


async def test_taking_a_charge_back_leaves_a_line_of_whose_doing_it_is(scene: Scene):
    need_audit(scene)
    await scene.reserve("h", 80, dispatched=True)
    assert (await scene.release("h", actor="ann\x00ü", now_ms=T0 + DAY)).status is Status.DONE
    assert (await scene.release("h", actor="bob", now_ms=T0 + DAY)).status is Status.REPLAYED
    line = (T0 + DAY, "ann\x00ü", "release", COMPANY, "h", '{"tokens_taken_back":80}')
    assert await lines(scene) == [line]
    await scene.reopen()
    assert await lines(scene) == [line]


async def test_the_line_tells_what_was_left_of_the_charge_to_take_back(scene: Scene):
    need_audit(scene)
    corrections = {"less": -50, "more": 20, "nothing": -80}
    for hold_id in corrections:
        await scene.reserve(hold_id, 80, dispatched=True, company=OTHER)
    for hold_id, tokens in corrections.items():
        await scene.correct(f"c-{hold_id}", f"hold→{hold_id}", tokens, now_ms=T0 + DAY, company=OTHER)
        await scene.release(hold_id, actor="ann", now_ms=T0 + DAY, company=OTHER)
    assert [line[3:] for line in await lines(scene) if line[2] == "release"] == [
        (OTHER, "less", '{"tokens_taken_back":30}'),
        (OTHER, "more", '{"tokens_taken_back":100}'),
        (OTHER, "nothing", '{"tokens_taken_back":0}'),
    ]


async def test_a_release_that_takes_no_charge_back_leaves_no_line(scene: Scene):
    need_audit(scene)
    for hold_id in ("open", "settled", "unsent", "old"):
        await scene.reserve(hold_id, 10, dispatched=hold_id in ("open", "old"))
    await scene.settle("settled", 5)
    statuses = [(await scene.release(each, actor="ann")).status for each in ("open", "settled", "nobody")]
    statuses.append((await scene.release("unsent", actor="ann", now_ms=T0 + DAY)).status)
    statuses.append((await scene.release("old", actor="ann", now_ms=T0 + 500 * DAY)).status)
    assert statuses == ["done", "conflict", "not_found", "replayed", "beyond_retention"]
    assert await scene.audit() == []


async def test_what_nobody_decided_leaves_no_line(scene: Scene):
    """The figure of a call that comes late is what was measured; and the gateway drops what was refused."""
    need_audit(scene)
    await scene.reserve("settled", 80, dispatched=True)
    await scene.reserve("released", 80, dispatched=True)
    assert (await scene.settle("settled", 60, now_ms=T0 + DAY)).status is Status.DONE
    assert (await scene.release("released", now_ms=T0 + DAY)).status is Status.DONE
    assert await lines(scene) == []
