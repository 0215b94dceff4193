"""What corrections promise: nothing is edited, and usage only falls as time passes."""

from kvot.core.model import TOKENS_MAX, Status
from tests.conformance.scene import DAY, MINUTE, OTHER, T0, WINDOW, Scene


async def test_a_correction_counts_at_the_time_of_its_target(scene: Scene):
    await scene.record("e", 100, T0 - DAY)
    corrected = await scene.correct("c", "e", -40)
    assert (corrected.status, corrected.at_ms, corrected.usage.tokens_used) == (Status.DONE, T0 - DAY, 60)
    assert await scene.used(T0 - DAY) == 60
    assert await scene.used(T0 - DAY - 1) == 0


async def test_a_correction_leaves_the_window_together_with_its_target(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", -40, now_ms=T0 + DAY)
    assert await scene.used(now_ms=T0 + WINDOW - 1) == 60
    assert await scene.used(now_ms=T0 + WINDOW) == 0
    assert await scene.used(now_ms=T0 + DAY + WINDOW) == 0


async def test_a_correction_may_add(scene: Scene):
    await scene.set_budget(150)
    await scene.record("e", 100)
    corrected = await scene.correct("c", "e", 60)
    assert (corrected.usage.tokens_used, corrected.usage.is_within_budget) == (160, False)


async def test_an_event_and_its_corrections_never_fall_below_zero(scene: Scene):
    await scene.record("e", 100)
    await scene.record("unrelated", 100)
    await scene.correct("first", "e", -60)
    assert (await scene.correct("second", "e", -41)).status is Status.BELOW_ZERO
    assert (await scene.correct("second", "e", -40)).status is Status.DONE
    assert (await scene.correct("third", "e", -1)).status is Status.BELOW_ZERO
    assert await scene.used() == 100


async def test_what_a_correction_added_another_may_take(scene: Scene):
    await scene.record("e", 10)
    await scene.correct("more", "e", 90)
    assert (await scene.correct("less", "e", -100)).status is Status.DONE
    assert await scene.used() == 0


async def test_a_correction_is_not_corrected(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", -40)
    assert (await scene.correct("d", "c", 10)).status is Status.NOT_CORRECTABLE
    assert await scene.used() == 60


async def test_an_unknown_target_is_not_found(scene: Scene):
    await scene.record("e", 100, company=OTHER)
    refused = await scene.correct("c", "e", -40)
    assert (refused.status, refused.at_ms) == (Status.NOT_FOUND, None)
    assert await scene.used(company=OTHER) == 100


async def test_a_correction_is_replayed_once_whoever_sends_it(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", -40, reason="counted twice", actor="ann")
    replay = await scene.correct("c", "e", -40, reason="counted twice", actor="bo")
    assert (replay.status, replay.at_ms, replay.usage.tokens_used) == (Status.REPLAYED, T0, 60)


async def test_a_correction_with_other_content_conflicts(scene: Scene):
    await scene.record("e", 100)
    await scene.record("f", 100)
    await scene.correct("c", "e", -40, reason="r")
    for target_id, tokens, reason in (("e", -41, "r"), ("f", -40, "r"), ("e", -40, "s"), ("e", -40, None)):
        assert (await scene.correct("c", target_id, tokens, reason=reason)).status is Status.CONFLICT
    assert await scene.used() == 160


async def test_events_and_corrections_share_their_ids(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", 5)
    assert (await scene.record("c", 5)).status is Status.CONFLICT
    assert (await scene.correct("e", "e", 5)).status is Status.CONFLICT
    assert await scene.used() == 105


async def test_a_replay_wins_over_a_target_that_can_take_no_more(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", -100)
    assert (await scene.correct("c", "e", -100)).status is Status.REPLAYED


async def test_an_event_ahead_of_the_clock_can_be_corrected(scene: Scene):
    await scene.record("e", 100, T0 + MINUTE)
    assert (await scene.correct("c", "e", -40)).status is Status.DONE
    assert await scene.used(now_ms=T0 + MINUTE) == 60


async def test_an_event_that_has_grown_older_than_retention_is_not_corrected(scene: Scene):
    await scene.record("e", 100)
    assert (await scene.correct("edge", "e", -1, now_ms=T0 + 400 * DAY)).status is Status.DONE
    assert (await scene.correct("c", "e", -40, now_ms=T0 + 400 * DAY + 1)).status is Status.BEYOND_RETENTION


async def test_corrections_of_the_greatest_size_are_exact(scene: Scene):
    await scene.record("e", 1)
    await scene.correct("up", "e", TOKENS_MAX)
    assert (await scene.correct("down", "e", -TOKENS_MAX)).usage.tokens_used == 1


async def test_a_settlement_can_be_corrected(scene: Scene):
    await scene.reserve("h", 100)
    await scene.settle("h", 80, now_ms=T0 + 5)
    assert (await scene.correct("c", "hold→h", -30, now_ms=T0 + 9)).at_ms == T0 + 5
    assert await scene.used(now_ms=T0 + 9) == 50


async def test_a_correction_makes_room_for_a_hold(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 100)
    assert (await scene.reserve("h", 40)).status is Status.OVER_LIMIT
    await scene.correct("c", "e", -40)
    assert (await scene.reserve("h", 40)).status is Status.DONE


async def test_a_correction_is_there_after_the_engine_was_opened_again(scene: Scene):
    await scene.record("e", 100)
    await scene.correct("c", "e", -40)
    await scene.reopen()
    assert (await scene.correct("d", "e", -61)).status is Status.BELOW_ZERO
    assert (await scene.correct("c", "e", -40)).status is Status.REPLAYED
    assert await scene.used() == 60
