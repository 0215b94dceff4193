"""What usage says of any instant, in any window, whatever clocks do."""

from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, WINDOW, Scene


async def test_an_event_leaves_exactly_one_window_after_it_entered(scene: Scene):
    await scene.record("e", 5)
    assert await scene.used(now_ms=T0 + WINDOW - 1) == 5
    assert await scene.used(now_ms=T0 + WINDOW) == 0


async def test_usage_of_a_past_instant_is_what_it_was(scene: Scene):
    for number in range(4):
        await scene.record(f"e{number}", 10, now_ms=T0 + number * DAY)
    now_ms = T0 + 3 * DAY
    assert [await scene.used(T0 + day * DAY, now_ms=now_ms) for day in range(-1, 4)] == [0, 10, 20, 30, 40]


async def test_usage_in_another_window_than_the_budgets(scene: Scene):
    for number in range(4):
        await scene.record(f"e{number}", 10, T0 - number * DAY)
    assert await scene.used(window_ms=1) == 10
    assert await scene.used(window_ms=DAY) == 10
    assert await scene.used(window_ms=DAY + 1) == 20
    assert await scene.used(T0 - DAY, window_ms=2 * DAY) == 20


async def test_usage_of_an_instant_ahead_sees_what_is_left_then(scene: Scene):
    await scene.record("e", 10)
    usage = await scene.usage(T0 + WINDOW - 1)
    assert (usage.at_ms, usage.tokens_used) == (T0 + WINDOW - 1, 10)
    assert await scene.used(T0 + WINDOW) == 0


async def test_the_first_instant_there_is_can_be_asked_for(scene: Scene):
    await scene.record("e", 10)
    assert await scene.used(1) == 0


async def test_nothing_is_read_before_an_event_whatever_is_written_after(scene: Scene):
    before = await scene.usage(T0 - 1)
    await scene.record("e", 10, T0)
    assert await scene.usage(T0 - 1) == before


async def test_a_clock_that_goes_back_freezes_the_company(scene: Scene):
    await scene.record("e", 10, now_ms=T0 + DAY)
    usage = await scene.usage(now_ms=T0)
    assert (usage.at_ms, usage.tokens_used) == (T0 + DAY, 10)
    await scene.record("f", 10, now_ms=T0)
    assert await scene.used(now_ms=T0) == 20
    assert await scene.used(T0 + DAY - 1, now_ms=T0) == 0


async def test_a_clock_that_goes_back_forgets_nothing(scene: Scene):
    await scene.record("e", 10)
    await scene.record("f", 10, now_ms=T0 + WINDOW)
    await scene.record("g", 10, now_ms=T0)
    assert await scene.used(T0, now_ms=T0) == 10
    assert await scene.used(now_ms=T0 + WINDOW) == 20
    assert (await scene.store.verify(COMPANY, now_ms=T0)).tokens == 30


async def test_a_clock_that_goes_back_opens_no_window_again(scene: Scene):
    await scene.record("e", 10)
    await scene.record("f", 1, now_ms=T0 + WINDOW)
    assert await scene.used(now_ms=T0 + 5) == 1


async def test_a_refused_write_moves_the_clock_too(scene: Scene):
    await scene.settle("nobody", 5, now_ms=T0 + DAY)
    assert (await scene.usage(now_ms=T0)).at_ms == T0 + DAY


async def test_a_read_moves_no_clock(scene: Scene):
    await scene.record("e", 10)
    await scene.used(now_ms=T0 + DAY)
    assert (await scene.usage(now_ms=T0)).at_ms == T0


async def test_each_company_has_a_clock_of_its_own(scene: Scene):
    await scene.record("e", 10, now_ms=T0 + DAY)
    await scene.record("e", 10, company=OTHER)
    assert (await scene.usage(company=OTHER)).at_ms == T0


async def test_companies_never_see_each_other(scene: Scene):
    await scene.set_budget(50)
    await scene.record("e", 10)
    await scene.reserve("h", 20, dispatched=True)
    usage = await scene.usage(company=OTHER)
    assert (usage.tokens_used, usage.tokens_held, usage.token_limit) == (0, 0, 1_000_000)
    assert (await scene.hold("h", company=OTHER)).hold is None
    assert await scene.used(now_ms=T0 + MINUTE, company=OTHER) == 0


async def test_what_was_written_is_there_after_the_engine_was_opened_again(scene: Scene):
    await scene.set_budget(500)
    await scene.record("e", 10)
    await scene.record("late", 5, T0 - 1000)
    await scene.reserve("h", 20)
    before = await scene.usage()
    await scene.reopen()
    assert await scene.usage() == before
    assert await scene.used(T0 - 1000) == 5
    assert await scene.store.companies() == [COMPANY]


async def test_the_clock_does_not_go_back_when_the_engine_is_opened_again(scene: Scene):
    await scene.record("e", 10, now_ms=T0 + DAY)
    await scene.reopen()
    assert (await scene.usage(now_ms=T0)).at_ms == T0 + DAY
