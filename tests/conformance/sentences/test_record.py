"""What recording promises: once, at its own time, never refused for want of budget."""

from kvot.core.model import TOKENS_MAX, EventColumns, NewEvent, Source, Status
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, WINDOW, Scene

FUTURE_MAX = 5 * MINUTE
RETENTION = 400 * DAY


async def test_a_company_that_nobody_wrote_to_has_used_nothing_of_the_default_budget(scene: Scene):
    usage = await scene.usage()
    assert (usage.tokens_used, usage.tokens_held, usage.token_limit, usage.window_days) == (
        0,
        0,
        1_000_000,
        30,
    )
    assert (usage.company_id, usage.at_ms, usage.is_within_budget) == (COMPANY, T0, True)


async def test_reading_brings_no_company_into_being(scene: Scene):
    await scene.usage()
    await scene.hold("h")
    await scene.budget()
    assert await scene.store.companies() == []


async def test_companies_are_listed_in_order_once_they_were_written_to(scene: Scene):
    await scene.record("e", 1, company=OTHER)
    await scene.set_budget(5, company=COMPANY)
    assert await scene.store.companies() == [COMPANY, OTHER]


async def test_a_recorded_event_counts_at_once_and_the_answer_says_so(scene: Scene):
    recorded = await scene.record("e", 120)
    assert (recorded.status, recorded.at_ms, recorded.usage.tokens_used) == (Status.DONE, T0, 120)
    assert recorded.usage == await scene.usage()


async def test_an_event_without_a_time_gets_the_clock_of_the_company(scene: Scene):
    await scene.record("first", 1, now_ms=T0 + 10)
    assert (await scene.record("second", 1, now_ms=T0)).at_ms == T0 + 10


async def test_a_late_event_lands_in_its_own_place(scene: Scene):
    await scene.record("now", 1)
    assert (await scene.record("late", 10, T0 - 100)).at_ms == T0 - 100
    assert await scene.used(T0 - 101) == 0
    assert await scene.used(T0 - 100) == 10
    assert await scene.used() == 11


async def test_events_of_one_millisecond_all_count(scene: Scene):
    for number in range(4):
        await scene.record(f"e{number}", 10, T0)
    assert await scene.used() == 40


async def test_the_most_tokens_that_an_event_may_carry_are_counted_exactly(scene: Scene):
    await scene.record("big", TOKENS_MAX)
    await scene.record("late", TOKENS_MAX, T0 - 1)
    assert await scene.used() == 2 * TOKENS_MAX


async def test_an_event_over_budget_is_recorded_and_flagged(scene: Scene):
    await scene.set_budget(100)
    recorded = await scene.record("e", 101)
    assert recorded.status is Status.DONE
    assert (recorded.usage.tokens_used, recorded.usage.tokens_remaining) == (101, 0)
    assert not recorded.usage.is_within_budget
    assert (await scene.record("more", 5)).usage.tokens_used == 106


async def test_a_company_at_its_limit_is_no_longer_within_budget(scene: Scene):
    await scene.set_budget(100)
    assert (await scene.record("most", 99)).usage.is_within_budget
    assert not (await scene.record("rest", 1)).usage.is_within_budget


async def test_a_replay_counts_once_and_answers_with_the_time_of_the_first(scene: Scene):
    await scene.record("e", 120, user="u", input_tokens=100)
    replay = await scene.record("e", 120, user="u", input_tokens=100, now_ms=T0 + 5)
    assert (replay.status, replay.at_ms, replay.usage.tokens_used) == (Status.REPLAYED, T0, 120)


async def test_a_replay_of_a_given_time_is_known_by_that_time(scene: Scene):
    await scene.record("e", 120, T0 - 50)
    assert (await scene.record("e", 120, T0 - 50, now_ms=T0 + 5)).status is Status.REPLAYED
    assert (await scene.record("e", 120, T0 - 49, now_ms=T0 + 5)).status is Status.CONFLICT
    assert await scene.used(T0 + 5) == 120


async def test_a_time_that_is_given_is_other_content_than_a_time_that_is_assigned(scene: Scene):
    await scene.record("given", 1, T0)
    await scene.record("assigned", 1)
    assert (await scene.record("given", 1)).status is Status.CONFLICT
    assert (await scene.record("assigned", 1, T0)).status is Status.CONFLICT


async def test_an_id_with_other_content_conflicts_and_changes_nothing(scene: Scene):
    await scene.record("e", 120, model="m", input_tokens=20)
    for tokens, source, detail in (
        (121, Source.REPORTED, {"model": "m", "input_tokens": 20}),
        (120, Source.PARTIAL, {"model": "m", "input_tokens": 20}),
        (120, Source.REPORTED, {"model": "n", "input_tokens": 20}),
        (120, Source.REPORTED, {"model": "m", "input_tokens": 21}),
        (120, Source.REPORTED, {"model": "m", "input_tokens": 20, "cached_tokens": 0}),
        (120, Source.REPORTED, {"input_tokens": 20}),
    ):
        again = await scene.record("e", tokens, source=source, **detail)
        assert (again.status, again.usage.tokens_used) == (Status.CONFLICT, 120)
    assert await scene.shares("model") == {"m": (1, 120, 20, 0)}


async def test_a_replay_is_known_after_the_engine_was_opened_again(scene: Scene):
    await scene.record("e", 120)
    await scene.record("late", 7, T0 - 9)
    await scene.reopen()
    assert (await scene.record("e", 120)).status is Status.REPLAYED
    assert (await scene.record("late", 8, T0 - 9)).status is Status.CONFLICT
    assert await scene.used() == 127


async def test_a_replay_is_a_replay_even_when_its_time_would_now_be_refused(scene: Scene):
    await scene.record("e", 1, T0)
    long_after = T0 + RETENTION + DAY
    assert (await scene.record("e", 1, T0, now_ms=long_after)).status is Status.REPLAYED
    assert (await scene.record("e", 2, T0, now_ms=long_after)).status is Status.CONFLICT


async def test_the_same_id_in_two_companies_is_two_events(scene: Scene):
    await scene.record("e", 120)
    assert (await scene.record("e", 7, company=OTHER)).status is Status.DONE
    assert (await scene.used(), await scene.used(company=OTHER)) == (120, 7)


async def test_an_event_may_lie_five_minutes_ahead_of_the_clock_and_no_more(scene: Scene):
    assert (await scene.record("edge", 1, T0 + FUTURE_MAX)).status is Status.DONE
    refused = await scene.record("over", 1, T0 + FUTURE_MAX + 1)
    assert (refused.status, refused.at_ms) == (Status.IN_FUTURE, None)
    assert await scene.used(now_ms=T0 + 2 * FUTURE_MAX) == 1


async def test_a_refused_event_may_come_again_when_its_time_is_near(scene: Scene):
    await scene.record("e", 1, T0 + FUTURE_MAX + 1)
    assert (await scene.record("e", 1, T0 + FUTURE_MAX + 1, now_ms=T0 + 1)).status is Status.DONE


async def test_an_event_ahead_of_the_clock_is_used_from_its_own_time_on(scene: Scene):
    await scene.record("ahead", 50, T0 + 100)
    assert await scene.used(now_ms=T0 + 99) == 0
    assert await scene.used(now_ms=T0 + 100) == 50
    assert await scene.used(T0 + 100) == 50
    assert await scene.used(now_ms=T0 + 100 + WINDOW) == 0


async def test_an_event_older_than_retention_is_refused(scene: Scene):
    assert (await scene.record("edge", 1, T0 - RETENTION)).status is Status.DONE
    assert (await scene.record("over", 1, T0 - RETENTION - 1)).status is Status.BEYOND_RETENTION
    assert (await scene.store.verify(COMPANY, now_ms=T0)).events == 1


async def test_a_batch_answers_as_its_events_would_one_by_one(scene: Scene):
    batch = EventColumns.of(
        [
            (COMPANY, NewEvent("a", 10)),
            (COMPANY, NewEvent("a", 10)),
            (COMPANY, NewEvent("a", 11)),
            (OTHER, NewEvent("a", 5)),
            (COMPANY, NewEvent("ahead", 5, T0 + FUTURE_MAX + 1)),
            (COMPANY, NewEvent("old", 5, T0 - RETENTION - 1)),
            (COMPANY, NewEvent("late", 3, T0 - 7)),
        ]
    )
    statuses = await scene.store.record_many(batch, now_ms=T0)
    done, replayed, conflict = Status.DONE, Status.REPLAYED, Status.CONFLICT
    refused = [Status.IN_FUTURE, Status.BEYOND_RETENTION]
    assert statuses == [done, replayed, conflict, done, *refused, done]
    assert (await scene.used(), await scene.used(company=OTHER)) == (13, 5)


async def test_a_batch_over_budget_is_recorded(scene: Scene):
    await scene.set_budget(10)
    batch = [(COMPANY, NewEvent(f"e{number}", 10)) for number in range(3)]
    assert await scene.store.record_many(EventColumns.of(batch), now_ms=T0) == [Status.DONE] * 3
    assert await scene.used() == 30


async def test_a_batch_is_there_after_the_engine_was_opened_again(scene: Scene):
    batch = [(COMPANY, NewEvent(f"e{number}", 1, T0 - number * 300)) for number in range(200)]
    await scene.store.record_many(EventColumns.of(batch), now_ms=T0)
    await scene.reopen()
    assert await scene.store.record_many(EventColumns.of(batch), now_ms=T0) == [Status.REPLAYED] * 200
    assert await scene.used() == 200


async def test_an_empty_batch_does_nothing(scene: Scene):
    assert await scene.store.record_many(EventColumns.of([]), now_ms=T0) == []


async def test_a_batch_charges_the_holds_that_are_due(scene: Scene):
    await scene.reserve("h", 40, ttl_ms=10, dispatched=True)
    await scene.store.record_many(EventColumns.of([(COMPANY, NewEvent("e", 2))]), now_ms=T0 + 10)
    assert (await scene.used(now_ms=T0 + 10), await scene.held(now_ms=T0 + 10)) == (42, 0)
