"""When tokens come back: the exact first millisecond, never one before."""

from kvot.core.model import Status
from tests.conformance.scene import DAY, MINUTE, T0, WINDOW, Scene


async def admitted_exactly_at(scene: Scene, tokens: int, at_ms: int) -> None:
    """Reserve one millisecond before and then at an instant: refused, then held."""
    assert (await scene.reserve("early", tokens, now_ms=at_ms - 1)).status is Status.OVER_LIMIT
    assert (await scene.reserve("on time", tokens, now_ms=at_ms)).status is Status.DONE


async def test_what_fits_now_fits_now(scene: Scene):
    await scene.set_budget(100)
    assert await scene.fits_at(100) == T0
    await scene.record("e", 60)
    assert await scene.fits_at(40, now_ms=T0 + 7) == T0 + 7


async def test_more_than_the_limit_never_fits(scene: Scene):
    await scene.set_budget(100)
    assert await scene.fits_at(101) is None
    assert (await scene.reserve("h", 101)).retry_after_ms is None


async def test_into_a_limit_of_nothing_fits_nothing_but_nothing(scene: Scene):
    await scene.set_budget(0)
    assert await scene.fits_at(0) == T0
    assert await scene.fits_at(1) is None


async def test_tokens_come_back_when_their_event_leaves_the_window(scene: Scene):
    await scene.set_budget(100)
    for number, tokens in enumerate((50, 30, 20)):
        await scene.record(f"e{number}", tokens, T0 - number * DAY)
    back = [await scene.fits_at(tokens) for tokens in (0, 1, 20, 21, 50, 51, 100)]
    leave = [T0 + WINDOW - number * DAY for number in range(3)]
    assert back == [T0, leave[2], leave[2], leave[1], leave[1], leave[0], leave[0]]


async def test_a_refusal_says_how_long_to_wait_to_the_millisecond(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 60, T0 - DAY)
    refused = await scene.reserve("h", 41)
    assert refused.retry_after_ms == WINDOW - DAY
    await admitted_exactly_at(scene, 41, T0 + WINDOW - DAY)


async def test_a_hold_that_was_not_sent_gives_its_tokens_back_when_it_runs_out(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 60)
    assert await scene.fits_at(41) == T0 + MINUTE
    await admitted_exactly_at(scene, 41, T0 + MINUTE)


async def test_a_hold_that_was_sent_gives_its_tokens_back_a_window_after_it_ran_out(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("h", 60, dispatched=True)
    assert await scene.fits_at(41) == T0 + MINUTE + WINDOW
    await admitted_exactly_at(scene, 41, T0 + MINUTE + WINDOW)


async def test_a_due_hold_is_seen_as_closed_when_asking_when_tokens_fit(scene: Scene):
    await scene.set_budget(100)
    await scene.reserve("unsent", 30)
    await scene.reserve("sent", 30, dispatched=True)
    now_ms = T0 + 2 * MINUTE
    assert await scene.fits_at(70, now_ms=now_ms) == now_ms
    assert await scene.fits_at(71, now_ms=now_ms) == T0 + MINUTE + WINDOW


async def test_events_ahead_of_the_clock_are_waited_for_too(scene: Scene):
    await scene.set_budget(100)
    await scene.record("ahead", 60, T0 + MINUTE)
    assert await scene.fits_at(41) == T0 + MINUTE + WINDOW


async def test_corrected_tokens_are_not_waited_for(scene: Scene):
    await scene.set_budget(100)
    await scene.record("early", 60, T0 - DAY)
    await scene.record("late", 40)
    await scene.correct("c", "early", -50)
    assert await scene.fits_at(50) == T0
    assert await scene.fits_at(60) == T0 + WINDOW - DAY
    assert await scene.fits_at(61) == T0 + WINDOW


async def test_a_wait_is_counted_from_the_clock_of_the_caller(scene: Scene):
    await scene.set_budget(100)
    await scene.record("e", 60, now_ms=T0 + DAY)
    refused = await scene.reserve("h", 41, now_ms=T0)
    assert refused.retry_after_ms == DAY + WINDOW
    assert await scene.fits_at(41, now_ms=T0) == T0 + DAY + WINDOW
    await admitted_exactly_at(scene, 41, T0 + DAY + WINDOW)


async def test_only_a_full_limit_says_how_long_to_wait(scene: Scene):
    await scene.set_budget(100)
    done = await scene.reserve("h", 60)
    conflict = await scene.reserve("h", 61)
    assert (done.retry_after_ms, conflict.status, conflict.retry_after_ms) == (None, Status.CONFLICT, None)


async def test_asking_when_tokens_fit_changes_nothing(scene: Scene):
    await scene.reserve("h", 60, dispatched=True)
    await scene.fits_at(10**6, now_ms=T0 + DAY)
    assert (await scene.usage()).at_ms == T0
    assert await scene.held() == 60
