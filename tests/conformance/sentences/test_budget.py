"""What a change of the budget does: it holds from now on, and forgets nothing."""

from kvot.core.budget import Budget, BudgetChange, PartialBudget
from kvot.core.model import Status
from tests.conformance.scene import COMPANY, DAY, OTHER, T0, Scene


async def test_without_a_budget_of_its_own_a_company_has_the_default(scene: Scene):
    company_budget = await scene.store.budget(COMPANY, now_ms=T0)
    assert (company_budget.budget, company_budget.changes) == (scene.rules.default_budget, ())


async def test_a_budget_takes_effect_at_once(scene: Scene):
    await scene.set_budget(100)
    assert (await scene.reserve("h", 101)).status is Status.OVER_LIMIT
    await scene.set_budget(101)
    assert (await scene.reserve("h", 101)).status is Status.DONE


async def test_a_lowered_limit_blocks_until_usage_falls_below_it(scene: Scene):
    await scene.record("e", 80)
    await scene.set_budget(50, 1)
    usage = await scene.usage()
    assert (usage.tokens_used, usage.tokens_remaining, usage.is_within_budget) == (80, 0, False)
    assert (await scene.reserve("h", 1)).status is Status.OVER_LIMIT
    assert (await scene.reserve("h", 1, now_ms=T0 + DAY)).status is Status.DONE


async def test_a_change_of_the_window_forgets_nothing(scene: Scene):
    await scene.record("old", 10, T0 - 20 * DAY)
    await scene.record("new", 5)
    await scene.set_budget(100, 7)
    assert await scene.used() == 5
    await scene.set_budget(100, 30)
    assert await scene.used() == 15
    await scene.set_budget(100, 20)
    assert await scene.used() == 5


async def test_a_longer_window_may_hold_more_than_the_limit(scene: Scene):
    await scene.set_budget(100, 1)
    await scene.record("old", 90, T0 - DAY)
    await scene.record("new", 90)
    await scene.set_budget(100, 2)
    usage = await scene.usage()
    assert (usage.tokens_used, usage.is_within_budget) == (180, False)


async def test_usage_of_an_instant_is_measured_by_the_budget_of_that_instant(scene: Scene):
    await scene.record("e", 10)
    await scene.set_budget(100, 7, now_ms=T0 + DAY)
    await scene.set_budget(200, 1, now_ms=T0 + 2 * DAY)
    now_ms = T0 + 3 * DAY
    usages = [await scene.usage(T0 + day * DAY, now_ms=now_ms) for day in range(4)]
    assert [usage.token_limit for usage in usages] == [1_000_000, 100, 200, 200]
    assert [usage.window_days for usage in usages] == [30, 7, 1, 1]
    assert [usage.tokens_used for usage in usages] == [10, 10, 0, 0]


async def test_a_budget_holds_from_its_very_millisecond(scene: Scene):
    await scene.set_budget(100)
    assert (await scene.budget(T0 - 1)).token_limit == 1_000_000
    assert (await scene.budget(T0)).token_limit == 100
    assert (await scene.usage(T0 - 1)).token_limit == 1_000_000
    assert (await scene.usage(T0)).token_limit == 100


async def test_of_two_budgets_in_one_millisecond_the_later_holds_and_both_are_kept(scene: Scene):
    await scene.set_budget(100)
    changed = await scene.set_budget(200)
    assert (await scene.budget()).token_limit == 200
    assert [change.budget.token_limit for change in changed.changes] == [100, 200]


async def test_the_same_budget_again_is_a_line_of_history_all_the_same(scene: Scene):
    await scene.set_budget(100)
    assert len((await scene.set_budget(100, now_ms=T0 + 1)).changes) == 2


async def test_the_history_says_who_and_why_and_since_when(scene: Scene):
    changed = await scene.store.set_budget(COMPANY, Budget(100, 7), actor="ann", reason="trial", now_ms=T0)
    assert changed.budget == Budget(100, 7)
    assert changed.changes == (BudgetChange(T0, Budget(100, 7), "ann", "trial"),)
    assert await scene.store.budget(COMPANY, now_ms=T0 + DAY) == changed


async def test_a_budget_set_by_a_clock_that_went_back_holds_from_the_companys_clock(scene: Scene):
    await scene.record("e", 10, now_ms=T0 + DAY)
    changed = await scene.set_budget(100, now_ms=T0)
    assert changed.changes[0].effective_at_ms == T0 + DAY


async def test_a_budget_is_one_companys_own(scene: Scene):
    await scene.set_budget(100)
    assert await scene.budget(company=OTHER) == scene.rules.default_budget


async def test_the_history_is_there_after_the_engine_was_opened_again(scene: Scene):
    await scene.set_budget(100)
    changed = await scene.set_budget(200)
    await scene.reopen()
    assert await scene.store.budget(COMPANY, now_ms=T0) == changed


async def test_a_lowered_limit_takes_no_hold_away(scene: Scene):
    await scene.reserve("h", 80)
    await scene.set_budget(50)
    assert (await scene.held(), (await scene.settle("h", 80)).usage.tokens_used) == (80, 80)


async def test_what_a_change_leaves_out_stays_as_it_was(scene: Scene):
    await scene.set_budget(100, 7)
    for change in (PartialBudget(window_days=9), PartialBudget(token_limit=200)):
        await scene.store.set_budget(COMPANY, change, actor="ann", reason=None, now_ms=T0)
    assert (await scene.store.budget(COMPANY, now_ms=T0)).budget == Budget(200, 9)


async def test_the_first_change_completes_the_default(scene: Scene):
    change = PartialBudget(token_limit=200)
    changed = await scene.store.set_budget(COMPANY, change, actor="ann", reason=None, now_ms=T0)
    assert changed.budget == Budget(200, scene.rules.default_budget.window_days)
