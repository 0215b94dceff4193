"""Events as they are read back, one by one: the newest first, each with the receipt of its call."""

from kvot.core.model import CallDetail, Event, Kind, NewEvent, Source, Status
from kvot.core.window import floor_before
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, Scene

RECEIPT = '{"endpoint":"chat","finish":"stop","raw_usage":{"prompt_tokens":50}}'


async def test_the_newest_comes_first_and_only_so_many(scene: Scene):
    for number in (3, 1, 2):
        await scene.record(f"e{number}", number, T0 - number)
    await scene.record("theirs", 9, company=OTHER)
    assert [event.event_id for event in await scene.latest()] == ["e1", "e2", "e3"]
    assert [event.event_id for event in await scene.latest(events_max=2)] == ["e1", "e2"]
    assert await scene.latest(company="99999999-9999-4999-8999-999999999999") == []


async def test_from_one_instant_to_another_both_are_with_them(scene: Scene):
    for number in range(5):
        await scene.record(f"e{number}", 1, T0 - number)
    assert [event.event_id for event in await scene.latest(T0 - 3, T0 - 1)] == ["e1", "e2", "e3"]
    assert [event.event_id for event in await scene.latest(T0 - 3, T0 - 1, events_max=1)] == ["e1"]


async def test_events_of_one_instant_all_come_and_always_alike(scene: Scene):
    ids = {"a", "b", "11111111-1111-4111-8111-111111111111", "x", "00000000-0000-4000-8000-000000000000"}
    for event_id in ids:
        await scene.record(event_id, 1)
    found = [event.event_id for event in await scene.latest()]
    assert set(found) == ids
    assert [event.event_id for event in await scene.latest(events_max=3)] == found[:3]


async def test_all_that_is_kept_of_a_call_is_told(scene: Scene):
    await scene.reserve("h", 80, dispatched=True, provider="openai", model="m", user="u")
    await scene.settle("h", 60, now_ms=T0 + 5, source=Source.PARTIAL, input_tokens=50, receipt=RECEIPT)
    (event,) = await scene.latest()
    assert (event.event_id, event.at_ms, event.tokens) == ("hold→h", T0 + 5, 60)
    assert (event.kind, event.source) == (Kind.SETTLEMENT, Source.PARTIAL)
    assert event.detail == CallDetail("openai", "m", "u", None, 50)
    assert event.receipt == RECEIPT


async def test_what_nobody_told_anything_of_has_no_receipt(scene: Scene):
    await scene.record("e", 5)
    await scene.correct("c", "e", -1, reason="why")
    await scene.reserve("h", 1)
    await scene.settle("h", 1)
    assert [event.receipt for event in await scene.latest()] == [None, None, None]


async def test_a_retry_of_a_settlement_is_the_same_whatever_its_receipt_and_the_first_stays(scene: Scene):
    await scene.reserve("h", 80)
    await scene.settle("h", 60, receipt=RECEIPT)
    for receipt in (None, "{}", RECEIPT):
        assert (await scene.settle("h", 60, receipt=receipt)).status is Status.REPLAYED
    await scene.reopen()
    assert (await scene.settle("h", 60, receipt="{}")).status is Status.REPLAYED
    assert (await scene.settle("h", 61, receipt=RECEIPT)).status is Status.CONFLICT
    assert [event.receipt for event in await scene.latest()] == [RECEIPT]


async def test_a_recorded_event_may_have_one_which_no_retry_is_compared_by(scene: Scene):
    for receipt, status in ((RECEIPT, Status.DONE), (None, Status.REPLAYED), ("{}", Status.REPLAYED)):
        recorded = await scene.store.record(COMPANY, NewEvent("e", 5, receipt=receipt), now_ms=T0)
        assert recorded.status is status
    assert (await scene.record("e", 6)).status is Status.CONFLICT
    await scene.reopen()
    assert (await scene.record("e", 5)).status is Status.REPLAYED
    assert [event.receipt for event in await scene.latest()] == [RECEIPT]


async def test_a_figure_that_comes_late_brings_its_receipt_with_the_correction(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    await scene.settle("h", 60, now_ms=T0 + 2 * MINUTE, receipt=RECEIPT)
    receipts = {event.event_id: event.receipt for event in await scene.latest()}
    assert receipts == {"hold→h": None, "late→h": RECEIPT}


async def test_a_receipt_is_there_after_the_engine_was_opened_again(scene: Scene):
    odd = '{"model_served":"ü\x00\x1b"}'
    for hold_id, receipt in (("h", RECEIPT), ("i", odd)):
        await scene.reserve(hold_id, 80)
        await scene.settle(hold_id, 60, receipt=receipt)
    for _ in range(2):
        await scene.reopen()
        receipts = {event.event_id: event.receipt for event in await scene.latest()}
        assert receipts == {"hold→h": RECEIPT, "hold→i": odd}


async def test_the_charge_of_a_hold_that_ran_out_is_told_before_any_write_as_that_will_write_it(scene: Scene):
    await scene.reserve("sent", 80, ttl_ms=5, dispatched=True, provider="openai", model="m", user="u", feature="f")
    await scene.reserve("bare", 7, ttl_ms=5, dispatched=True)
    await scene.reserve("not sent", 40, ttl_ms=5)
    assert await scene.latest(now_ms=T0 + 4) == []
    told = await scene.latest(now_ms=T0 + 5)
    charge = (T0 + 5, False, 80, Kind.EXPIRY, Source.ESTIMATED, CallDetail("openai", "m", "u", "f"))
    assert told[0] == Event("hold→sent", *charge)
    assert [(event.event_id, event.tokens) for event in told] == [("hold→sent", 80), ("hold→bare", 7)]
    assert sum(event.tokens for event in told) == await scene.used(now_ms=T0 + 5)
    assert await scene.latest(now_ms=T0 + 4) == []  # nothing was written
    assert await scene.store.expire(COMPANY, now_ms=T0 + 9) == 3
    assert await scene.latest(now_ms=T0 + 9) == told


async def test_charges_that_no_write_entered_yet_stand_among_events_where_they_will(scene: Scene):
    uuid = "11111111-1111-4111-8111-111111111111"
    for hold_id, ttl_ms in (("b", 3), ("a", 3), (uuid, 3), ("c", 9), ("far", MINUTE)):
        await scene.reserve(hold_id, 1, ttl_ms=ttl_ms, dispatched=True)
    for event_id, at_ms in ((uuid, 3), ("x", 3), ("ö", 3), ("early", 1), ("ahead", 99)):
        await scene.record(event_id, 1, T0 + at_ms)
    asked = [(1, T0 + 99), (T0 + 3, T0 + 3), (T0 + 3, T0 + 8), (T0 + 4, T0 + 9), (T0 + 10, T0 + 99), (1, T0 + 1)]

    async def lists() -> list[list[Event]]:
        return [
            await scene.latest(*edges, events_max=count, now_ms=T0 + 9) for edges in asked for count in (1, 3, 5, 100)
        ]

    before = await lists()
    assert [len(each) for each in before[3::4]] == [9, 6, 6, 1, 1, 1]
    await scene.store.expire(COMPANY, now_ms=T0 + 9)
    assert await lists() == before


async def test_charges_are_told_of_their_own_company_alone(scene: Scene):
    await scene.reserve("h", 80, ttl_ms=5, dispatched=True)
    await scene.record("e", 1, company=OTHER)
    assert [event.event_id for event in await scene.latest(now_ms=T0 + 5, company=OTHER)] == ["e"]


async def test_forgotten_events_are_not_told(scene: Scene):
    await scene.reserve("old", 5, now_ms=T0 - 100 * DAY)
    await scene.settle("old", 5, now_ms=T0 - 100 * DAY, receipt=RECEIPT)
    await scene.record("new", 1)
    await scene.store.prune(COMPANY, T0 - 50 * DAY, now_ms=T0)
    assert [event.event_id for event in await scene.latest(floor_before(T0 - 200 * DAY))] == ["new"]
