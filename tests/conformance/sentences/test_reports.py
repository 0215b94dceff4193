"""Charts, breakdowns and the self-proof: the same events, summed along other lines."""

import pytest

from kvot.core.clock import LEAP_MAX_MS
from kvot.core.model import Difference, NewEvent, Source, Status
from tests.conformance.scene import COMPANY, DAY, HOUR, MINUTE, OTHER, T0, WINDOW, Scene

H0 = T0 // HOUR * HOUR


async def test_a_series_counts_an_event_from_its_edge_on(scene: Scene):
    for number, at_ms in enumerate((T0 - 21, T0 - 20, T0 - 11, T0 - 10, T0)):
        await scene.record(f"e{number}", 10**number, at_ms)
    series = await scene.store.series(COMPANY, [T0 - 20, T0 - 10, T0, T0 + 1], now_ms=T0)
    assert series.edges_ms == (T0 - 20, T0 - 10, T0, T0 + 1)
    assert series.tokens == (110, 1000, 10000)
    assert series.rolling == (11, 1111, 11111, 11111)


async def test_the_rolling_line_is_usage_at_each_edge(scene: Scene):
    for number in range(10):
        await scene.record(f"e{number}", number + 1, T0 - number * DAY)
    edges = [T0 + day * DAY for day in range(-12, 32, 4)]
    series = await scene.store.series(COMPANY, edges, now_ms=T0)
    assert list(series.rolling) == [await scene.used(edge_ms) for edge_ms in edges]
    narrow = await scene.store.series(COMPANY, edges, now_ms=T0, window_ms=DAY)
    assert list(narrow.rolling) == [await scene.used(edge_ms, DAY) for edge_ms in edges]


async def test_the_rolling_line_follows_the_budgets_of_its_instants(scene: Scene):
    await scene.record("e", 10)
    await scene.set_budget(100, 1, now_ms=T0 + 5 * DAY)
    edges = [T0 + 5 * DAY - 1, T0 + 5 * DAY]
    assert (await scene.store.series(COMPANY, edges, now_ms=T0 + 6 * DAY)).rolling == (10, 0)


async def test_a_series_of_one_edge_is_one_point(scene: Scene):
    await scene.record("e", 10)
    series = await scene.store.series(COMPANY, [T0], now_ms=T0)
    assert (series.tokens, series.rolling) == ((), (10,))


async def test_a_series_sees_due_holds_as_closed(scene: Scene):
    await scene.reserve("h", 80, dispatched=True)
    edges = [T0, T0 + MINUTE, T0 + MINUTE + 1]
    series = await scene.store.series(COMPANY, edges, now_ms=T0 + DAY)
    assert (series.tokens, series.rolling) == ((0, 80), (0, 80, 80))


async def test_a_breakdown_sums_by_what_the_events_say(scene: Scene):
    await scene.record("a", 10, model="m", user="ann", feature="chat", input_tokens=7, output_tokens=3)
    await scene.record("b", 20, model="m", user="bo", source=Source.ESTIMATED)
    await scene.record("c", 5, user="ann")
    assert await scene.shares("model") == {"m": (2, 30, 7, 3), None: (1, 5, 0, 0)}
    assert await scene.shares("user") == {"ann": (2, 15, 7, 3), "bo": (1, 20, 0, 0)}
    assert await scene.shares("feature") == {"chat": (1, 10, 7, 3), None: (2, 25, 0, 0)}
    assert await scene.shares("source") == {"reported": (2, 15, 7, 3), "estimated": (1, 20, 0, 0)}


async def test_a_breakdown_puts_the_most_first(scene: Scene):
    for number, tokens in enumerate((10, 30, 20)):
        await scene.record(f"e{number}", tokens, model=f"m{number}")
    hours = {"first_hour": T0 // HOUR, "end_hour": T0 // HOUR + 1}
    shares = await scene.store.breakdown(COMPANY, "model", **hours, now_ms=T0)
    assert [share.label for share in shares] == ["m1", "m2", "m0"]


async def test_a_breakdown_covers_whole_hours_without_the_last(scene: Scene):
    for number, at_ms in enumerate((H0 - HOUR - 1, H0 - HOUR, H0 - 1, H0)):
        await scene.record(f"e{number}", 10**number, at_ms)
    assert await scene.shares("model", H0 - HOUR, H0) == {None: (2, 110, 0, 0)}
    assert await scene.shares("model", H0, H0 + HOUR) == {None: (1, 1000, 0, 0)}


async def test_a_breakdown_is_one_companys_own(scene: Scene):
    await scene.record("e", 10, company=OTHER)
    assert await scene.shares("model") == {}


async def test_a_correction_is_attributed_as_its_target_is(scene: Scene):
    await scene.record("e", 100, T0 - HOUR, model="m", user="ann", input_tokens=100)
    await scene.correct("c", "e", -40)
    assert await scene.shares("model", T0 - HOUR, T0) == {"m": (2, 60, 100, 0)}
    assert await scene.shares("user", T0 - HOUR, T0) == {"ann": (2, 60, 100, 0)}
    assert await scene.shares("source") == {"reported": (1, 100, 100, 0), "corrected": (1, -40, 0, 0)}


async def test_a_charge_is_attributed_as_its_hold_is_and_called_estimated(scene: Scene):
    await scene.reserve("h", 80, dispatched=True, model="m", feature="chat")
    now_ms = T0 + MINUTE
    assert await scene.shares("model", now_ms=now_ms) == {"m": (1, 80, 0, 0)}
    assert await scene.shares("source", now_ms=now_ms) == {"estimated": (1, 80, 0, 0)}


async def test_a_late_figure_is_attributed_to_the_model_that_was_charged(scene: Scene):
    await scene.reserve("h", 80, dispatched=True, model="m")
    now_ms = T0 + MINUTE
    await scene.settle("h", 60, now_ms=now_ms, model="n", input_tokens=50, output_tokens=10)
    assert await scene.shares("model", now_ms=now_ms) == {"m": (2, 60, 50, 10)}
    corrected = {"estimated": (1, 80, 0, 0), "corrected": (1, -20, 50, 10)}
    assert await scene.shares("source", now_ms=now_ms) == corrected


async def test_a_settlement_of_nothing_is_an_event_too(scene: Scene):
    await scene.reserve("h", 80, model="m")
    await scene.settle("h", 0)
    assert await scene.shares("model") == {"m": (1, 0, 0, 0)}
    assert (await scene.store.verify(COMPANY, now_ms=T0)).events == 1


async def test_a_busy_ledger_verifies_clean(scene: Scene):
    for number in range(30):
        await scene.record(f"e{number}", number + 1, T0 - number * 997 * MINUTE, model=f"m{number % 3}")
    await scene.correct("c", "e3", -2)
    await scene.reserve("settled", 50, dispatched=True)
    await scene.settle("settled", 70)
    await scene.reserve("charged", 50, dispatched=True)
    await scene.settle("charged", 20, now_ms=T0 + DAY)
    proof = await scene.store.verify(COMPANY, now_ms=T0 + DAY)
    assert (proof.company_id, proof.events, proof.tokens, proof.differences) == (
        COMPANY,
        34,
        465 - 2 + 70 + 20,
        (),
    )


async def test_an_empty_ledger_verifies_clean(scene: Scene):
    proof = await scene.store.verify(COMPANY, now_ms=T0)
    assert (proof.events, proof.tokens, proof.differences) == (0, 0, ())


async def test_a_company_in_doubt_is_admitted_nothing_and_still_recorded(scene: Scene):
    if scene.engine.damage is None:
        pytest.skip("the engine keeps no number that could be untrue")
    await scene.record("e", 10)
    await scene.reserve("held", 5)
    await scene.engine.damage(scene.store, scene.folder, COMPANY)
    assert (await scene.store.verify(COMPANY, now_ms=T0)).differences != ()
    refused = await scene.reserve("h", 1)
    assert (refused.status, refused.retry_after_ms, refused.hold) == (Status.IN_DOUBT, None, None)
    assert (refused.usage.in_doubt, refused.usage.is_within_budget) == (True, False)
    assert (await scene.reserve("held", 5)).status is Status.REPLAYED
    assert (await scene.record("f", 10)).status is Status.DONE
    assert (await scene.reserve("h", 1, company=OTHER)).status is Status.DONE
    await scene.reopen()
    assert (await scene.reserve("h", 10**9, now_ms=T0 + WINDOW)).status is Status.IN_DOUBT


async def test_a_clock_that_is_ahead_of_now_is_told_with_its_company_and_by_how_much(scene: Scene):
    await scene.record("e", 10)
    await scene.store.record(OTHER, NewEvent("e", 10), now_ms=T0 + DAY)
    assert (await scene.store.verify_shared(now_ms=T0 + DAY - LEAP_MAX_MS)).differences == ()
    found = await scene.store.verify_shared(now_ms=T0)
    assert found.differences == ((OTHER, Difference("company clock", T0 + DAY, T0)),)
    assert found.audit_lines == 0
    one = await scene.store.verify_shared(COMPANY, now_ms=T0)
    assert (one.audit_lines, one.differences) == (None, ())
    assert not (await scene.store.usage(OTHER, now_ms=T0)).in_doubt
