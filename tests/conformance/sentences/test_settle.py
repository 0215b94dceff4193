"""How holds end: settled, released, expired or charged, and what is learnt afterwards."""

from kvot.core.ledger import Ledger
from kvot.core.model import CallDetail, HoldState, Settlement, Source, Status
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, WINDOW, Scene


async def test_settling_replaces_the_hold_by_what_was_used(scene: Scene):
    await scene.reserve("h", 80)
    change = await scene.settle("h", 60, now_ms=T0 + 5)
    assert change.hold is not None
    assert (change.status, change.usage.tokens_used, change.usage.tokens_held) == (Status.DONE, 60, 0)
    assert (change.hold.state, change.hold.closed_at_ms, change.hold.actual) == (
        HoldState.SETTLED,
        T0 + 5,
        60,
    )
    assert change.usage == await scene.usage(now_ms=T0 + 5)


async def test_a_settlement_counts_when_it_was_settled_not_when_it_was_reserved(scene: Scene):
    await scene.reserve("h", 80)
    await scene.settle("h", 60, now_ms=T0 + 5)
    assert await scene.used(T0 + 4, now_ms=T0 + 5) == 0
    assert await scene.used(T0 + 5, now_ms=T0 + 5) == 60
    assert await scene.used(now_ms=T0 + 5 + WINDOW) == 0


async def test_settling_above_the_hold_is_recorded_flagged_and_blocks(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 80)
    change = await scene.settle("h", 150)
    assert (change.status, change.usage.tokens_used) == (Status.DONE, 150)
    assert not change.usage.is_within_budget
    assert (await scene.reserve("next", 1)).status is Status.OVER_LIMIT


async def test_settling_nothing_gives_all_of_it_back(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 100)
    change = await scene.settle("h", 0)
    assert change.hold is not None
    assert (change.hold.state, change.hold.actual, change.usage.tokens_used) == (HoldState.SETTLED, 0, 0)
    assert (await scene.reserve("next", 100)).status is Status.DONE


async def test_a_settlement_is_replayed_once(scene: Scene):
    await scene.reserve("h", 80)
    first = await scene.settle("h", 60, input_tokens=50)
    replay = await scene.settle("h", 60, input_tokens=50, now_ms=T0 + 5)
    assert (replay.status, replay.hold, replay.usage.tokens_used) == (Status.REPLAYED, first.hold, 60)


async def test_settling_otherwise_conflicts_and_changes_nothing(scene: Scene):
    await scene.reserve("h", 80)
    await scene.settle("h", 60, input_tokens=50)
    assert (await scene.settle("h", 61, input_tokens=50)).status is Status.CONFLICT
    assert (await scene.settle("h", 60, input_tokens=51)).status is Status.CONFLICT
    assert (await scene.release("h")).status is Status.CONFLICT
    assert await scene.used() == 60


async def test_a_settlement_is_known_after_the_engine_was_opened_again(scene: Scene):
    await scene.reserve("h", 80)
    await scene.settle("h", 60, input_tokens=50)
    await scene.reopen()
    assert (await scene.settle("h", 60, input_tokens=50)).status is Status.REPLAYED
    assert (await scene.settle("h", 60)).status is Status.CONFLICT


async def test_a_released_hold_holds_and_uses_nothing(scene: Scene):
    await scene.reserve("h", 80)
    change = await scene.release("h", now_ms=T0 + 5)
    assert change.hold is not None
    assert (change.status, change.usage.tokens_used, change.usage.tokens_held) == (Status.DONE, 0, 0)
    assert (change.hold.state, change.hold.closed_at_ms, change.hold.actual) == (
        HoldState.RELEASED,
        T0 + 5,
        None,
    )


async def test_releasing_twice_frees_once(scene: Scene):
    await scene.reserve("h", 80)
    await scene.reserve("other", 30)
    await scene.release("h")
    assert (await scene.release("h")).status is Status.REPLAYED
    assert (await scene.settle("h", 5)).status is Status.CONFLICT
    assert (await scene.held(), await scene.used()) == (30, 0)


async def test_a_released_hold_is_not_charged_when_it_would_have_run_out(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    await scene.release("h")
    assert await scene.used(now_ms=T0 + MINUTE) == 0


async def test_a_hold_that_was_never_sent_runs_out_uncharged(scene: Scene):
    await scene.reserve("h", 80)
    assert await scene.held(now_ms=T0 + MINUTE - 1) == 80
    change = await scene.hold("h", now_ms=T0 + MINUTE)
    assert change.hold is not None
    assert (change.hold.state, change.hold.closed_at_ms) == (HoldState.EXPIRED, T0 + MINUTE)
    assert (change.usage.tokens_used, change.usage.tokens_held) == (0, 0)


async def test_a_hold_whose_call_was_sent_is_charged_when_it_runs_out(scene: Scene):
    await scene.reserve("h", 80)
    await scene.dispatch("h", now_ms=T0 + 1)
    change = await scene.hold("h", now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.hold.state, change.hold.closed_at_ms, change.hold.actual) == (
        HoldState.CHARGED,
        T0 + MINUTE,
        None,
    )
    assert (change.usage.tokens_used, change.usage.tokens_held) == (80, 0)


async def test_a_charge_counts_at_the_instant_at_which_the_hold_ran_out(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    await scene.record("e", 1, now_ms=T0 + DAY)
    assert await scene.used(T0 + MINUTE - 1, now_ms=T0 + DAY) == 0
    assert await scene.used(T0 + MINUTE, now_ms=T0 + DAY) == 80
    assert await scene.used(now_ms=T0 + MINUTE + WINDOW - 1) == 81
    assert await scene.used(now_ms=T0 + MINUTE + WINDOW) == 1


async def test_a_read_and_a_write_see_the_same_charge(scene: Scene):
    await scene.reserve("h", 80, dispatched=True, model="m")
    now_ms = T0 + 2 * MINUTE
    seen = await scene.hold("h", now_ms=now_ms), await scene.shares("model", now_ms=now_ms)
    assert await scene.store.expire(now_ms=now_ms) == 1
    kept = await scene.hold("h", now_ms=now_ms), await scene.shares("model", now_ms=now_ms)
    assert seen == kept


async def test_expire_closes_the_due_holds_of_every_company_and_counts_them(scene: Scene):
    await scene.reserve("a", 10, ttl_ms=5)
    await scene.reserve("b", 10, ttl_ms=6, dispatched=True)
    await scene.reserve("a", 10, ttl_ms=5, company="33333333-3333-4333-8333-333333333333")
    assert await scene.store.expire(now_ms=T0 + 4) == 0
    assert await scene.store.expire(now_ms=T0 + 5) == 2
    assert await scene.store.expire(now_ms=T0 + 9) == 1
    assert await scene.store.expire(now_ms=T0 + 9) == 0
    assert await scene.used(now_ms=T0 + 9) == 10


async def test_expire_of_one_company_leaves_the_holds_of_others_alone(scene: Scene):
    await scene.reserve("a", 10, ttl_ms=5)
    await scene.reserve("a", 10, ttl_ms=5, company=OTHER)
    assert await scene.store.expire("33333333-3333-4333-8333-333333333333", now_ms=T0 + 5) == 0
    assert await scene.store.expire(COMPANY, now_ms=T0 + 5) == 1
    assert await scene.store.expire(now_ms=T0 + 5) == 1


async def test_settling_a_hold_that_ran_out_uncharged_records_it_now(scene: Scene):
    await scene.reserve("h", 80)
    change = await scene.settle("h", 60, now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.status, change.hold.state, change.hold.actual) == (Status.DONE, HoldState.SETTLED, 60)
    assert change.hold.closed_at_ms == T0 + MINUTE
    assert await scene.used(T0 + DAY - 1, now_ms=T0 + DAY) == 0
    assert await scene.used(now_ms=T0 + DAY) == 60


async def test_settling_late_twice_records_once(scene: Scene):
    await scene.reserve("expired", 80)
    await scene.reserve("charged", 80, dispatched=True)
    now_ms = T0 + DAY
    for hold_id in ("expired", "charged"):
        assert (await scene.settle(hold_id, 60, now_ms=now_ms)).status is Status.DONE
        assert (await scene.settle(hold_id, 60, now_ms=now_ms)).status is Status.REPLAYED
        assert (await scene.settle(hold_id, 61, now_ms=now_ms)).status is Status.CONFLICT
    assert await scene.used(now_ms=now_ms) == 120


async def test_settling_a_charged_hold_corrects_the_charge_at_its_own_time(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    change = await scene.settle("h", 60, now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.status, change.hold.state, change.hold.closed_at_ms) == (
        Status.DONE,
        HoldState.SETTLED,
        T0 + MINUTE,
    )
    assert await scene.used(T0 + MINUTE, now_ms=T0 + DAY) == 60
    assert await scene.used(now_ms=T0 + MINUTE + WINDOW - 1) == 60
    assert await scene.used(now_ms=T0 + MINUTE + WINDOW) == 0


async def test_settling_a_charged_hold_above_its_estimate_adds_the_rest(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    assert (await scene.settle("h", 95, now_ms=T0 + DAY)).usage.tokens_used == 95


async def test_settling_a_charged_hold_at_its_estimate_changes_no_sum(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    change = await scene.settle("h", 80, now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.hold.state, change.hold.actual, change.usage.tokens_used) == (HoldState.SETTLED, 80, 80)


async def test_settling_a_charge_that_was_corrected_meanwhile_comes_to_the_figure(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    await scene.correct("c", "hold→h", -50, now_ms=T0 + DAY)
    assert (await scene.settle("h", 60, now_ms=T0 + DAY)).usage.tokens_used == 60


async def test_releasing_a_charged_hold_takes_the_charge_back(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    change = await scene.release("h", now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.status, change.hold.state, change.usage.tokens_used) == (
        Status.DONE,
        HoldState.RELEASED,
        0,
    )
    assert await scene.used(T0 + MINUTE, now_ms=T0 + DAY) == 0
    assert (await scene.release("h", now_ms=T0 + DAY)).status is Status.REPLAYED
    assert (await scene.settle("h", 60, now_ms=T0 + DAY)).status is Status.CONFLICT


async def test_releasing_a_charge_that_was_corrected_meanwhile_comes_to_nothing(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    await scene.correct("c", "hold→h", 20, now_ms=T0 + DAY)
    assert (await scene.release("h", now_ms=T0 + DAY)).usage.tokens_used == 0


async def test_releasing_a_hold_that_ran_out_uncharged_leaves_it_expired(scene: Scene):
    await scene.reserve("h", 80)
    change = await scene.release("h", now_ms=T0 + DAY)
    assert change.hold is not None
    assert (change.status, change.hold.state) == (Status.REPLAYED, HoldState.EXPIRED)
    assert (await scene.settle("h", 60, now_ms=T0 + DAY)).status is Status.DONE


async def test_a_renewed_hold_is_charged_when_it_ran_out_at_last(scene: Scene):
    await scene.reserve("h", 80, ttl_ms=100, dispatched=True)
    await scene.renew("h", 100, now_ms=T0 + 50)
    assert (await scene.held(now_ms=T0 + 149), await scene.used(now_ms=T0 + 149)) == (80, 0)
    assert (await scene.held(now_ms=T0 + 150), await scene.used(now_ms=T0 + 150)) == (0, 80)
    assert await scene.used(T0 + 149, now_ms=T0 + 150) == 0


async def test_a_charge_takes_the_room_that_the_hold_took(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 80, dispatched=True)
    assert (await scene.reserve("next", 21, now_ms=T0 + MINUTE)).status is Status.OVER_LIMIT
    assert (await scene.reserve("next", 20, now_ms=T0 + MINUTE)).status is Status.DONE


async def test_a_charge_older_than_retention_can_no_longer_be_settled_or_released(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    long_after = T0 + MINUTE + 400 * DAY + 1
    assert (await scene.settle("h", 60, now_ms=long_after)).status is Status.BEYOND_RETENTION
    assert (await scene.release("h", now_ms=long_after)).status is Status.BEYOND_RETENTION
    change = await scene.hold("h", now_ms=long_after)
    assert change.hold is not None
    assert change.hold.state is HoldState.CHARGED


async def test_a_settlement_carries_the_labels_of_its_hold_where_it_says_nothing(scene: Scene):
    await scene.reserve("h", 80, model="asked", user="ann")
    await scene.settle("h", 60, model="answered", input_tokens=50, output_tokens=10)
    assert await scene.shares("model") == {"answered": (1, 60, 50, 10)}
    assert await scene.shares("user") == {"ann": (1, 60, 50, 10)}


async def test_many_holds_due_at_once_are_all_closed(scene: Scene):
    for number in range(20):
        await scene.reserve(f"h{number}", 10, ttl_ms=100 + number % 3, dispatched=number % 2 == 0)
    await scene.record("e", 1, now_ms=T0 + DAY)
    assert (await scene.used(now_ms=T0 + DAY), await scene.held(now_ms=T0 + DAY)) == (101, 0)
    assert not (await scene.store.verify(COMPANY, now_ms=T0 + DAY)).differences


async def test_whatever_is_asked_after_a_settlement_that_is_made_soon_is_answered_as_after_it(scene: Scene):
    await scene.reserve("h", 100, dispatched=True)
    settled = scene.store.settle_soon(COMPANY, "h", Settlement(60, Source.REPORTED, CallDetail()), now_ms=T0)
    if not scene.store.settles_soon:
        await settled
    assert (await scene.used(), await scene.held()) == (60, 0)
    assert (await scene.settle("h", 60)).status is Status.REPLAYED


async def test_a_settlement_that_is_made_soon_lasts(scene: Scene):
    await scene.reserve("h", 100, dispatched=True)
    settlement = Settlement(60, Source.REPORTED, CallDetail())
    assert (await scene.store.settle_soon(COMPANY, "h", settlement, now_ms=T0)).status is Status.DONE
    await scene.reopen()
    assert (await scene.used(), await scene.held()) == (60, 0)


async def test_what_the_call_of_a_released_hold_used_is_counted_once(scene: Scene):
    await scene.reserve("h", 80, model="m", dispatched=True)
    released = await scene.release("h")
    ledger = Ledger(scene.store, lambda: T0)
    settlement = Settlement(60, detail=CallDetail(input_tokens=50), receipt='{"endpoint":"chat"}')
    seen = [await ledger.record_unheld(COMPANY, "h", released.hold, settlement) for _ in range(2)]
    assert [each.status for each in seen] == [Status.DONE, Status.REPLAYED]
    assert await scene.used() == 60
    assert await scene.shares("model") == {"m": (1, 60, 50, 0)}
    assert [event.receipt for event in await scene.latest()] == [settlement.receipt]
    assert not (await scene.store.verify(COMPANY, now_ms=T0)).differences
