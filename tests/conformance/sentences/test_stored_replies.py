"""What every engine promises of replies that providers store: who made one, and its tokens, as long as it is kept."""

import pytest

from kvot.core.model import TOKENS_MAX
from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, REPLIES_KEPT_MS
from tests.conformance.scene import COMPANY, DAY, OTHER, T0, Scene

LAST = T0 + REPLIES_KEPT_MS - 1
"""The last instant at which what was remembered at T0 is kept."""


async def remember(
    scene: Scene, reply_id: str = "resp_1", *, tokens: int | None = None, now_ms: int = T0, company: str = COMPANY
) -> None:
    await scene.store.remember_reply(company, "openai", reply_id, tokens=tokens, now_ms=now_ms)


async def has(
    scene: Scene, reply_id: str = "resp_1", *, now_ms: int = T0, company: str = COMPANY, provider: str = "openai"
) -> bool:
    return await scene.store.find_reply(company, provider, reply_id, now_ms=now_ms) is not None


async def tokens_of(scene: Scene, reply_id: str = "resp_1") -> int | None:
    reply = await scene.store.find_reply(COMPANY, "openai", reply_id, now_ms=T0)
    assert reply is not None
    return reply.tokens


async def test_a_reply_is_its_companys_also_after_the_engine_was_opened_again(scene: Scene):
    await remember(scene)
    assert await has(scene)
    await scene.reopen()
    assert await has(scene)


async def test_a_reply_is_found_as_it_was_remembered(scene: Scene):
    await remember(scene, "é\x00", tokens=7)
    assert await scene.store.find_reply(COMPANY, "openai", "é\x00", now_ms=T0) == ("openai", "é\x00", T0, 7)


@pytest.mark.parametrize("tokens", [0, 1, TOKENS_MAX, None])
async def test_the_tokens_of_a_reply_are_kept_also_after_the_engine_was_opened_again(scene: Scene, tokens: int | None):
    await remember(scene, tokens=tokens)
    await remember(scene, "resp_2", tokens=5)
    assert (await tokens_of(scene), await tokens_of(scene, "resp_2")) == (tokens, 5)
    await scene.reopen()
    assert (await tokens_of(scene), await tokens_of(scene, "resp_2")) == (tokens, 5)


async def test_what_was_said_last_of_a_replys_tokens_holds(scene: Scene):
    for tokens in (5, 7, None):
        await remember(scene, tokens=tokens)
        assert await tokens_of(scene) == tokens


async def test_a_reply_is_nobody_elses(scene: Scene):
    await remember(scene)
    await remember(scene, "resp_2", company=OTHER)
    assert not await has(scene, company=OTHER)
    assert not await has(scene, "resp_2")
    await remember(scene, company=OTHER)
    assert await has(scene)
    assert await has(scene, company=OTHER)


async def test_a_reply_is_its_providers_by_its_whole_id(scene: Scene):
    await remember(scene)
    assert not await has(scene, provider="mistral")
    assert not await has(scene, provider="OpenAI")
    for other in ("resp_", "resp_11", "RESP_1", "", "resp_%", "resp_1\x00"):
        assert not await has(scene, other)


async def test_any_id_is_kept_as_it_is(scene: Scene):
    ids = ("é" * 256, "\x00", "a\x1b0", "a'b\"c\\")
    for reply_id in ids:
        await remember(scene, reply_id)
    await scene.reopen()
    assert all([await has(scene, reply_id) for reply_id in ids])


async def test_a_reply_is_kept_as_long_as_providers_keep_it_and_not_an_instant_longer(scene: Scene):
    await remember(scene)
    assert await has(scene, now_ms=LAST)
    assert not await has(scene, now_ms=LAST + 1)


async def test_to_remember_again_is_to_keep_it_from_then_on(scene: Scene):
    await remember(scene)
    await remember(scene, now_ms=T0 + DAY)
    assert await has(scene, now_ms=LAST + DAY)
    await remember(scene, now_ms=LAST + 2 * DAY)
    assert await has(scene, now_ms=LAST + 2 * DAY)


async def test_what_is_no_longer_kept_is_so_for_good_also_when_the_callers_clock_goes_back(scene: Scene):
    await remember(scene)
    await scene.record("e", 1, now_ms=LAST + 1)
    assert not await has(scene)


async def test_the_clock_that_a_reply_is_remembered_by_is_the_companys(scene: Scene):
    await scene.record("e", 1, now_ms=T0 + DAY)
    await remember(scene)
    assert await has(scene, now_ms=LAST + DAY)
    assert not await has(scene, now_ms=LAST + DAY + 1)


async def test_only_what_is_no_longer_kept_is_forgotten_also_where_it_is_much(scene: Scene):
    for number in range(2 * FORGOTTEN_AT_ONCE_MAX + 1):
        await remember(scene, f"old_{number}")
    for number in range(FORGOTTEN_AT_ONCE_MAX + 1):
        await remember(scene, f"kept_{number}", now_ms=T0 + 1)
    await remember(scene, "new", now_ms=LAST + 1)
    assert await has(scene, "kept_0", now_ms=LAST + 1)
    await scene.store.prune(COMPANY, T0, now_ms=LAST + 1)
    assert all([await has(scene, f"kept_{number}", now_ms=LAST + 1) for number in range(FORGOTTEN_AT_ONCE_MAX + 1)])
    assert await has(scene, "new", now_ms=LAST + 1)


async def test_to_remember_a_reply_is_a_write_to_the_ledger(scene: Scene):
    await scene.reserve("h", 5, dispatched=True)
    await remember(scene, now_ms=T0 + DAY)
    assert (await scene.usage(now_ms=T0)).at_ms == T0 + DAY, "the clock has advanced, and the hold ran out"
    assert (await scene.held(now_ms=T0), await scene.used(now_ms=T0)) == (0, 5)
    await remember(scene, company=OTHER)
    assert await scene.store.companies() == [COMPANY, OTHER]
