"""What a hold promises from its making until it ends: the tokens are there, and never more than fit."""

from kvot.core.model import HoldState, Status
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, WINDOW, Scene


async def test_a_hold_counts_against_the_limit_until_it_is_settled(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("first", 80)
    assert (await scene.reserve("second", 30)).status is Status.OVER_LIMIT
    await scene.settle("first", 20)
    assert (await scene.reserve("second", 30)).status is Status.DONE


async def test_a_hold_is_reported_beside_usage_not_in_it(scene: Scene):
    decision = await scene.reserve("h", 80)
    assert (decision.usage.tokens_used, decision.usage.tokens_held) == (0, 80)
    assert (decision.usage.tokens_remaining, decision.usage.is_within_budget) == (1_000_000, True)
    assert decision.usage == await scene.usage()


async def test_what_is_asked_for_may_fill_the_limit_and_no_more(scene: Scene):
    await scene.set_budget(100)
    assert (await scene.reserve("over", 101)).status is Status.OVER_LIMIT
    assert (await scene.reserve("all", 100)).status is Status.DONE
    assert (await scene.reserve("one", 1)).status is Status.OVER_LIMIT
    assert (await scene.reserve("none", 0)).status is Status.DONE


async def test_used_tokens_and_held_tokens_count_together(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 50)
    await scene.reserve("h", 30)
    assert (await scene.reserve("over", 21)).status is Status.OVER_LIMIT
    assert (await scene.reserve("rest", 20)).status is Status.DONE


async def test_the_decision_carries_the_hold(scene: Scene):
    decision = await scene.reserve("h", 80, ttl_ms=500, dispatched=True, provider="p", model="m", user="u", feature="f")
    hold = decision.hold
    assert hold is not None
    assert (hold.hold_id, hold.amount, hold.ttl_ms, hold.dispatched) == ("h", 80, 500, True)
    assert (hold.provider, hold.model, hold.user, hold.feature) == ("p", "m", "u", "f")
    assert (hold.created_at_ms, hold.expires_at_ms) == (T0, T0 + 500)
    assert (hold.state, hold.closed_at_ms, hold.actual) == (HoldState.OPEN, None, None)
    assert (await scene.hold("h")).hold == hold


async def test_a_replay_of_a_hold_holds_once(scene: Scene):
    await scene.set_budget(100)
    first = await scene.reserve("h", 80)
    replay = await scene.reserve("h", 80, now_ms=T0 + 5)
    assert (replay.status, replay.hold, replay.usage.tokens_held) == (Status.REPLAYED, first.hold, 80)


async def test_the_replay_of_a_hold_answers_with_the_hold_as_it_now_stands(scene: Scene):
    await scene.reserve("h", 80)
    await scene.dispatch("h")
    await scene.renew("h", 2 * MINUTE)
    open_hold = (await scene.reserve("h", 80)).hold
    assert open_hold is not None
    assert (open_hold.dispatched, open_hold.expires_at_ms) == (True, T0 + 2 * MINUTE)
    await scene.settle("h", 60)
    replay = await scene.reserve("h", 80)
    assert replay.hold is not None
    assert (replay.status, replay.hold.state, replay.hold.actual) == (Status.REPLAYED, HoldState.SETTLED, 60)


async def test_the_replay_of_a_hold_that_ran_out_says_so_and_holds_nothing(scene: Scene):
    await scene.reserve("h", 80)
    replay = await scene.reserve("h", 80, now_ms=T0 + MINUTE)
    assert replay.hold is not None
    assert (replay.status, replay.hold.state, replay.usage.tokens_held) == (
        Status.REPLAYED,
        HoldState.EXPIRED,
        0,
    )


async def test_a_hold_with_other_content_conflicts_and_changes_nothing(scene: Scene):
    first = await scene.reserve("h", 80, model="m")
    for amount, ttl_ms, dispatched, model in (
        (81, MINUTE, False, "m"),
        (80, MINUTE + 1, False, "m"),
        (80, MINUTE, True, "m"),
        (80, MINUTE, False, "n"),
    ):
        other = await scene.reserve("h", amount, ttl_ms=ttl_ms, dispatched=dispatched, model=model)
        assert (other.status, other.usage.tokens_held) == (Status.CONFLICT, 80)
    assert (await scene.hold("h")).hold == first.hold


async def test_a_replay_wins_over_a_limit_that_is_full(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 100)
    await scene.record("e", 500)
    assert (await scene.reserve("h", 100)).status is Status.REPLAYED
    assert (await scene.reserve("h", 99)).status is Status.CONFLICT


async def test_a_refusal_is_not_remembered(scene: Scene):
    await scene.set_budget(100)
    refused = await scene.reserve("h", 101)
    assert (refused.status, refused.hold, refused.usage.tokens_held) == (Status.OVER_LIMIT, None, 0)
    assert (await scene.hold("h")).status is Status.NOT_FOUND
    assert (await scene.reserve("h", 50)).status is Status.DONE


async def test_events_ahead_of_the_clock_count_for_admission(scene: Scene):
    await scene.set_budget(100)
    await scene.record("ahead", 60, T0 + MINUTE)
    assert await scene.used() == 0
    assert (await scene.reserve("over", 41)).status is Status.OVER_LIMIT
    assert (await scene.reserve("rest", 40)).status is Status.DONE


async def test_a_limit_of_nothing_admits_nothing(scene: Scene):
    await scene.set_budget(0)
    refused = await scene.reserve("h", 1)
    assert (refused.status, refused.retry_after_ms) == (Status.OVER_LIMIT, None)
    assert not refused.usage.is_within_budget


async def test_holds_of_one_company_take_nothing_from_another(scene: Scene):
    await scene.set_budget(100)
    await scene.set_budget(100, company=OTHER)
    await scene.reserve("h", 100)
    assert (await scene.reserve("h", 60, company=OTHER)).status is Status.DONE
    await scene.release("h", company=OTHER)
    assert (await scene.held(), await scene.held(company=OTHER)) == (100, 0)


async def test_usage_of_a_past_instant_says_what_was_held_then(scene: Scene):
    await scene.reserve("settled", 10)
    await scene.reserve("expired", 200, ttl_ms=50)
    await scene.reserve("open", 3000, now_ms=T0 + 10)
    await scene.settle("settled", 5, now_ms=T0 + 20)
    instants = [T0 - 1, T0, T0 + 10, T0 + 19, T0 + 20, T0 + 49, T0 + 50]
    held = [await scene.held(at_ms, now_ms=T0 + 60) for at_ms in instants]
    assert held == [0, 210, 3210, 3210, 3200, 3200, 3000]


async def test_dispatch_is_done_once(scene: Scene):
    await scene.reserve("h", 80)
    change = await scene.dispatch("h")
    assert change.hold is not None
    assert (change.status, change.hold.dispatched, change.usage.tokens_held) == (Status.DONE, True, 80)
    assert (await scene.dispatch("h")).status is Status.REPLAYED
    assert (await scene.reserve("h", 80)).status is Status.REPLAYED


async def test_a_hold_that_is_closed_is_not_dispatched(scene: Scene):
    await scene.reserve("settled", 80)
    await scene.settle("settled", 80)
    await scene.reserve("expired", 80)
    assert (await scene.dispatch("settled")).status is Status.CLOSED
    late = await scene.dispatch("expired", now_ms=T0 + MINUTE)
    assert late.hold is not None
    assert (late.status, late.hold.state, late.usage.tokens_used) == (Status.CLOSED, HoldState.EXPIRED, 80)


async def test_dispatching_again_what_was_dispatched_is_a_replay_also_when_it_is_closed(scene: Scene):
    await scene.reserve("h", 80)
    await scene.dispatch("h")
    await scene.settle("h", 80)
    assert (await scene.dispatch("h")).status is Status.REPLAYED


async def test_renew_counts_from_now_and_never_shortens(scene: Scene):
    await scene.reserve("h", 80, ttl_ms=1000)
    shorter = await scene.renew("h", 500, now_ms=T0 + 100)
    assert shorter.hold is not None
    assert (shorter.status, shorter.hold.expires_at_ms) == (Status.DONE, T0 + 1000)
    longer = await scene.renew("h", 1000, now_ms=T0 + 100)
    assert longer.hold is not None
    assert (longer.hold.expires_at_ms, longer.hold.ttl_ms) == (T0 + 1100, 1000)
    assert await scene.held(now_ms=T0 + 1099) == 80
    assert await scene.held(now_ms=T0 + 1100) == 0


async def test_a_hold_that_is_closed_is_not_renewed(scene: Scene):
    await scene.reserve("h", 80, ttl_ms=1000)
    assert (await scene.renew("h", 1000, now_ms=T0 + 999)).status is Status.DONE
    assert (await scene.renew("h", 1000, now_ms=T0 + 1999)).status is Status.CLOSED
    assert (await scene.renew("h", 1000, now_ms=T0 + 5000)).status is Status.CLOSED


async def test_no_operation_finds_a_hold_that_is_not_there(scene: Scene):
    await scene.reserve("h", 80, company=OTHER)
    changes = [
        await scene.dispatch("h"),
        await scene.renew("h", 5),
        await scene.settle("h", 5),
        await scene.release("h"),
        await scene.hold("h"),
    ]
    assert [(change.status, change.hold) for change in changes] == [(Status.NOT_FOUND, None)] * 5
    assert (await scene.held(company=OTHER), await scene.used(company=OTHER)) == (80, 0)


async def test_holds_are_there_after_the_engine_was_opened_again(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 80)
    await scene.reopen()
    assert (await scene.reserve("h", 80)).status is Status.REPLAYED
    assert (await scene.reserve("over", 21)).status is Status.OVER_LIMIT
    assert (await scene.settle("h", 30)).usage.tokens_used == 30


async def test_room_comes_back_when_an_event_leaves_the_window(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 100)
    assert (await scene.reserve("h", 100, now_ms=T0 + WINDOW - 1)).status is Status.OVER_LIMIT
    assert (await scene.reserve("h", 100, now_ms=T0 + WINDOW)).status is Status.DONE


async def test_a_hold_may_be_made_while_the_clock_is_frozen(scene: Scene):
    await scene.record("e", 1, now_ms=T0 + DAY)
    decision = await scene.reserve("h", 5, ttl_ms=10)
    assert decision.hold is not None
    assert (decision.hold.created_at_ms, decision.hold.expires_at_ms) == (T0 + DAY, T0 + DAY + 10)
    assert (await scene.store.usage(COMPANY, now_ms=T0)).tokens_held == 5
