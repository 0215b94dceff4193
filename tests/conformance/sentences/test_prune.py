"""What pruning promises: above the floor every answer stays, below it there is none."""

import pytest

from kvot.core.errors import InvalidRequest
from kvot.core.model import EventColumns, NewEvent, Status
from kvot.core.window import floor_before
from tests.conformance.scene import COMPANY, DAY, HOUR, MINUTE, OTHER, T0, WINDOW, Scene

OLD = T0 - 100 * DAY
BEFORE = T0 - 50 * DAY
FLOOR = floor_before(BEFORE)


async def prune(scene: Scene, before_ms: int = BEFORE, *, now_ms: int = T0):
    return await scene.store.prune(COMPANY, before_ms, now_ms=now_ms)


async def raises_beyond_retention(question):
    with pytest.raises(InvalidRequest) as raised:
        await question
    assert raised.value.code == "BeyondRetention"


async def test_prune_says_what_it_forgot(scene: Scene):
    await scene.record("old", 10, OLD)
    await scene.record("edge", 10, FLOOR)
    await scene.record("kept", 10, FLOOR + 1)
    pruned = await prune(scene)
    assert (pruned.floor_at_ms, pruned.events) == (FLOOR, 2)
    assert (await prune(scene)).events == 0


async def test_every_answer_above_the_floor_stays(scene: Scene):
    for number in range(80):
        await scene.record(f"e{number}", number, T0 - number * DAY - number)
    instants = [FLOOR + WINDOW, FLOOR + WINDOW + 1, T0 - 10 * DAY, T0, T0 + DAY]
    before = [await scene.usage(at_ms) for at_ms in instants]
    await prune(scene)
    assert [await scene.usage(at_ms) for at_ms in instants] == before
    await scene.reopen()
    assert [await scene.usage(at_ms) for at_ms in instants] == before


async def test_a_window_that_begins_at_the_floor_is_whole_and_one_before_is_refused(scene: Scene):
    await scene.record("kept", 10, FLOOR + 1)
    await prune(scene)
    assert await scene.used(FLOOR + DAY, DAY) == 10
    await raises_beyond_retention(scene.usage(FLOOR + DAY, DAY + 1))
    await raises_beyond_retention(scene.usage(FLOOR + DAY - 1, DAY))
    await raises_beyond_retention(scene.usage(FLOOR))


async def test_what_reaches_below_the_floor_is_told_the_instant_of_it(scene: Scene):
    await scene.record("kept", 10, FLOOR + 1)
    await prune(scene)
    days = (T0 - FLOOR) // DAY + 1
    for ask in (lambda: scene.usage(FLOOR), lambda: scene.set_budget(100, days)):
        with pytest.raises(InvalidRequest) as raised:
            await ask()
        assert str(raised.value) == "Detail at or before 2026-08-02T10:23:27.743Z is no longer kept."


async def test_a_series_and_a_breakdown_below_the_floor_are_refused(scene: Scene):
    await scene.record("old", 10, OLD)
    await prune(scene)
    edges = [FLOOR + WINDOW - 1, T0]
    await raises_beyond_retention(scene.store.series(COMPANY, edges, now_ms=T0))
    first_whole_hour = FLOOR // HOUR + 1
    whole = {"first_hour": first_whole_hour, "end_hour": first_whole_hour + 5, "now_ms": T0}
    assert await scene.store.breakdown(COMPANY, "model", **whole) == []
    partly = {**whole, "first_hour": first_whole_hour - 1}
    await raises_beyond_retention(scene.store.breakdown(COMPANY, "model", **partly))


async def test_the_window_of_the_budget_is_never_pruned(scene: Scene):
    await scene.record("kept", 10, T0 - WINDOW + 1)
    await scene.record("old", 10, OLD)
    pruned = await prune(scene, T0)
    assert (pruned.floor_at_ms, pruned.events) == (floor_before(T0 - WINDOW), 1)
    assert await scene.used() == 10


async def test_the_floor_never_sinks(scene: Scene):
    await scene.record("e", 1)
    await prune(scene)
    assert (await prune(scene, OLD)).floor_at_ms == FLOOR
    await raises_beyond_retention(scene.usage(OLD + WINDOW))


async def test_nothing_is_taken_at_or_below_the_floor(scene: Scene):
    await scene.record("e", 1)
    await prune(scene)
    assert (await scene.record("below", 1, FLOOR)).status is Status.BEYOND_RETENTION
    assert (await scene.record("above", 1, FLOOR + 1)).status is Status.DONE


async def test_ids_are_forgotten_with_their_events_and_no_others(scene: Scene):
    await scene.record("old", 10, OLD)
    await scene.record("kept", 10, FLOOR + 1)
    await scene.correct("c", "old", -5)
    await prune(scene)
    assert (await scene.record("kept", 10, FLOOR + 1)).status is Status.REPLAYED
    assert (await scene.record("old", 10, OLD)).status is Status.BEYOND_RETENTION
    assert (await scene.correct("d", "old", 1)).status is Status.NOT_FOUND
    assert (await scene.record("old", 3)).status is Status.DONE
    assert (await scene.record("c", 3)).status is Status.DONE


async def test_an_event_that_was_kept_can_be_corrected(scene: Scene):
    await scene.record("kept", 10, T0 - DAY)
    await scene.correct("c", "kept", -4)
    await prune(scene)
    assert (await scene.correct("d", "kept", -7)).status is Status.BELOW_ZERO
    assert (await scene.correct("d", "kept", -6)).usage.tokens_used == 0


async def test_closed_holds_are_forgotten_and_open_ones_are_not(scene: Scene):
    await scene.reserve("settled", 10, now_ms=OLD)
    await scene.settle("settled", 10, now_ms=OLD)
    await scene.reserve("charged", 10, now_ms=OLD, dispatched=True)
    await scene.reserve("open", 10, ttl_ms=MINUTE)
    await prune(scene)
    assert (await scene.hold("settled")).status is Status.NOT_FOUND
    assert (await scene.settle("charged", 5)).status is Status.NOT_FOUND
    assert (await scene.hold("open")).status is Status.DONE
    assert (await scene.reserve("settled", 20)).status is Status.DONE
    assert (await scene.settle("settled", 20)).status is Status.DONE


async def test_a_hold_is_remembered_as_long_as_the_event_it_ended_in(scene: Scene):
    await scene.reserve("h", 10, now_ms=OLD)
    await scene.settle("h", 10, now_ms=T0)
    await prune(scene)
    assert (await scene.settle("h", 10)).status is Status.REPLAYED
    assert (await scene.reserve("h", 10)).status is Status.REPLAYED
    assert await scene.used() == 10


async def test_a_budget_whose_window_reaches_below_the_floor_is_refused(scene: Scene):
    await scene.record("e", 1)
    await prune(scene)
    await raises_beyond_retention(scene.set_budget(100, 51))
    assert await scene.budget() == scene.rules.default_budget
    assert (await scene.set_budget(100, 50)).budget.window_days == 50


async def test_pruning_keeps_the_history_of_the_budget(scene: Scene):
    await scene.set_budget(100, now_ms=OLD)
    await scene.record("e", 1)
    await prune(scene)
    assert (await scene.budget()).token_limit == 100
    assert len((await scene.store.budget(COMPANY, now_ms=T0)).changes) == 1


async def test_pruning_one_company_takes_nothing_from_another(scene: Scene):
    await scene.record("old", 10, OLD)
    await scene.record("old", 10, OLD, company=OTHER)
    await prune(scene)
    assert await scene.used(OLD, company=OTHER) == 10


async def test_pruning_changes_no_wait(scene: Scene):
    await scene.set_budget(100)
    await scene.record("old", 100, OLD)
    await scene.record("e", 60)
    await scene.reserve("h", 30, dispatched=True)
    before = [await scene.fits_at(tokens) for tokens in (10, 11, 40, 41, 70, 71, 100)]
    await prune(scene)
    assert [await scene.fits_at(tokens) for tokens in (10, 11, 40, 41, 70, 71, 100)] == before


async def test_a_pruned_ledger_verifies_clean(scene: Scene):
    for number in range(80):
        await scene.record(f"e{number}", number + 1, T0 - number * DAY)
    await scene.correct("c", "e70", -30)
    await scene.correct("d", "e10", -3)
    await prune(scene)
    assert (await scene.store.verify(COMPANY, now_ms=T0)).differences == ()
    await prune(scene, T0, now_ms=T0 + 10 * DAY)
    assert (await scene.store.verify(COMPANY, now_ms=T0 + 10 * DAY)).differences == ()


async def test_a_company_of_which_nothing_is_kept_starts_again_from_nothing(scene: Scene):
    await scene.record("old", 10, OLD)
    assert (await prune(scene)).events == 1
    assert await scene.used() == 0
    assert (await scene.record("new", 7)).usage.tokens_used == 7


class Ended(Exception):
    pass


ROWS = 5_000


async def end_on_the_way(scene: Scene) -> int:
    """A prune that ends when a quarter of what it should delete is gone; how much is. Its floor is raised before it
    says anything, and it says so of each piece."""
    old = [(COMPANY, NewEvent(f"old{number}", 1, OLD + number)) for number in range(ROWS)]
    assert set(await scene.store.record_many(EventColumns.of(old), now_ms=T0)) == {Status.DONE}
    gone: list[int] = []

    def tell(events: int) -> None:
        gone.append(events)
        if sum(gone) >= ROWS // 4:
            raise Ended

    with pytest.raises(Ended):
        await scene.store.prune(COMPANY, BEFORE, now_ms=T0, on_events=tell)
    return sum(gone)


async def test_a_prune_that_ends_on_the_way_leaves_a_true_ledger(scene: Scene):
    await scene.record("late", 3, OLD - 5)
    await scene.record("kept", 10)
    before = [await scene.usage(at_ms) for at_ms in (FLOOR + WINDOW, T0)]
    await end_on_the_way(scene)
    await scene.reopen()
    found = await scene.store.verify(COMPANY, now_ms=T0)
    assert (found.events, found.differences) == (1, ())
    after = [await scene.usage(at_ms) for at_ms in (FLOOR + WINDOW, T0)]
    assert [each.tokens_used for each in after] == [each.tokens_used for each in before]
    await raises_beyond_retention(scene.usage(FLOOR))


async def test_the_next_prune_finishes_what_one_left_that_ended_on_the_way(scene: Scene):
    gone = await end_on_the_way(scene)
    await scene.record("on", 5)
    assert gone + (await prune(scene)).events == ROWS
    assert (await prune(scene)).events == 0
    found = await scene.store.verify(COMPANY, now_ms=T0)
    assert (found.events, found.differences) == (1, ())
