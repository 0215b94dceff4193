"""A ledger that was moved answers as the one it was: from each engine to another and back, through a backup file."""

from pathlib import Path

import pytest

from kvot.core.archive import Audit, Keys, LedgerEnd, LedgerStart, Part, SealedKeys, SecretCheck, StoredReplies
from kvot.core.archive import Source as ArchiveSource
from kvot.core.budget import Rules
from kvot.core.keys import ApiKey
from kvot.core.model import Source
from kvot.core.provider_keys import SealedKey
from kvot.core.stored_replies import FORGOTTEN_AT_ONCE_MAX, REPLIES_KEPT_MS, StoredReply
from kvot.core.window import floor_before
from kvot.stores.memory import MemoryStore
from kvot.stores.memory_archive import MemorySource
from kvot.stores.transfer import whole
from tests.conformance.checks import LAYERS
from tests.conformance.conftest import ENGINES, need
from tests.conformance.moving import Mover, archive_of
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, Engine, FullStore, Scene
from tests.conformance.script import play_script

PAIRS = [(name, "sqlite") for name in ENGINES if name != "sqlite"]
"""Each is left and reached; from any engine to any other a ledger goes by what is read of one and made of another."""

REOPENED = {
    name: check
    for name, check in LAYERS["sentences"].items()
    if "reopen" in check.__code__.co_names and "damage" not in check.__code__.co_names
}


@pytest.fixture(params=PAIRS, ids=[f"{first} and {other}" for first, other in PAIRS])
def moving(request: pytest.FixtureRequest) -> Engine:
    first, other = (ENGINES[name] for name in request.param)
    need(first)
    need(other)
    return Mover(first, other).engine


def test_lives_that_are_moved_in_their_midst_go_on_as_the_oracle_says(moving: Engine):
    play_script(moving, lives=25)


@pytest.mark.deep
def test_many_long_lives_that_are_moved_go_on_as_the_oracle_says(moving: Engine):
    play_script(moving, lives=1_000, steps=60)


@pytest.mark.parametrize("name", REOPENED)
async def test_what_is_there_after_opening_again_is_there_after_a_move(moving: Engine, name: str, tmp_path: Path):
    scene = await Scene.open(moving, tmp_path)
    await REOPENED[name](scene)
    await scene.close()


async def test_a_hold_goes_on_where_it_was(moving: Engine, tmp_path: Path):
    scene = await Scene.open(moving, tmp_path)
    await scene.reserve("sent", 30, dispatched=True, model="m")
    await scene.reserve("open", 20)
    await scene.reserve("settled", 10)
    await scene.settle("settled", 7, output_tokens=5)
    await scene.reopen()
    assert (await scene.usage()).tokens_held == 50
    assert (await scene.settle("settled", 7, output_tokens=5)).status.value == "replayed"
    assert (await scene.settle("settled", 8)).status.value == "conflict"
    assert await scene.used(now_ms=T0 + MINUTE) == 37, "the sent one runs out and is charged"
    assert (await scene.release("open", now_ms=T0 + MINUTE)).status.value == "replayed"
    await scene.close()


async def test_what_was_asked_for_a_hold_at_first_is_what_a_retry_is_compared_with(moving: Engine, tmp_path: Path):
    scene = await Scene.open(moving, tmp_path)
    await scene.reserve("h", 30)
    await scene.dispatch("h")
    await scene.renew("h", 5 * MINUTE)
    for _ in range(2):
        await scene.reopen()
        assert (await scene.reserve("h", 30)).status.value == "replayed"
        assert (await scene.reserve("h", 30, dispatched=True)).status.value == "conflict"
    await scene.close()


async def test_events_at_the_clock_and_ahead_of_it_count_when_they_are_due(moving: Engine, tmp_path: Path):
    scene = await Scene.open(moving, tmp_path)
    for number, at_ms in enumerate((T0 - 1, T0, T0 + 1, T0 + 2, T0 + 5 * MINUTE)):
        await scene.record(f"e{number}", 10**number, at_ms)
    for _ in range(2):
        await scene.reopen()
        used = [await scene.used(now_ms=T0 + ahead_ms) for ahead_ms in (0, 1, 2, 5 * MINUTE - 1, 5 * MINUTE)]
        assert used == [11, 111, 1111, 1111, 11111]
    await scene.close()


async def test_what_was_forgotten_stays_forgotten_and_still_counts_in_the_total(moving: Engine, tmp_path: Path):
    scene = await Scene.open(moving, tmp_path)
    await scene.record("old", 5, T0 - 100 * DAY)
    await scene.record("late", 6, T0 - 101 * DAY)
    await scene.record("new", 7, company=OTHER)
    floor_ms = (await scene.store.prune(COMPANY, T0 - 50 * DAY, now_ms=T0)).floor_at_ms
    await scene.reopen()
    assert (await scene.store.prune(COMPANY, T0 - 90 * DAY, now_ms=T0)).floor_at_ms == floor_ms
    assert (await scene.record("older", 1, floor_ms)).status.value == "beyond_retention"
    assert (await scene.record("at", 1, floor_ms + 1)).status.value == "done"
    await scene.close()


async def fill(store: FullStore) -> None:
    """One of everything that a database can hold."""
    scene = Scene(ENGINES["memory"], Path(), store.rules, store)
    await scene.record("old", 5, T0 - 100 * DAY)
    await scene.record("late", 6, T0 - 101 * DAY)
    await store.prune(COMPANY, T0 - 50 * DAY, now_ms=T0)
    await scene.record("given", 7, T0 - DAY, model="m\x00\x1bü", user="u", input_tokens=1, reasoning_tokens=0)
    await scene.record("assigned", 8, source=Source.PARTIAL)
    await scene.correct("less", "given", -3, reason="\x00 why")
    await scene.set_budget(500, 20)
    await scene.reserve("open", 9, dispatched=True, provider="p")
    await scene.reserve("settled", 1)
    await scene.settle("settled", 2, feature="f", receipt='{"finish":"stop\x00ü"}')
    await scene.reserve("released", 1)
    await scene.release("released")
    await scene.set_budget(0, 1, company=OTHER)
    await store.bind_secret(b"\x00\xff" * 16)
    await store.add_key(KEY, actor="ann", now_ms=T0)
    await store.revoke_key("k1", company_id=None, actor="ann", now_ms=T0 + 1)
    for company_id, provider in ((OTHER, "openai"), (COMPANY, "openai"), (COMPANY, "gemini")):
        await store.set_provider_key(SealedKey(company_id, provider, b"\x01\x00\xff", T0, "ann"), now_ms=T0 + 2)
    await store.remove_provider_key(COMPANY, "gemini", actor="ann", now_ms=T0 + 3)
    await store.remember_reply(COMPANY, "openai", "resp_\x00\x1bü", tokens=7, now_ms=T0)
    for number in range(FORGOTTEN_AT_ONCE_MAX + 3):
        await store.remember_reply(THIRD, "openai", f"resp_{99 - number}", now_ms=T0 - REPLIES_KEPT_MS)
    await store.remember_reply(THIRD, "openai", "resp_0", now_ms=T0)  # some of the old are let go


THIRD = "33333333-3333-4333-8333-333333333333"
KEY = ApiKey("k1", bytes(range(32)), COMPANY, frozenset({"a", "b"}), "x\x00", T0, "ann", T0 + 2, None, ("::1/128",))


@pytest.fixture(params=[name for name in ENGINES if name != "memory"])
def durable(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param]
    need(engine)
    return engine


async def test_what_happened_is_read_alike_from_every_engine(durable: Engine, tmp_path: Path):
    reference = MemoryStore(Rules())
    await fill(reference)
    expected = [part async for part in whole(MemorySource(reference))]
    scene = await Scene.open(durable, tmp_path)
    await fill(scene.store)
    source = await archive_of(durable).read(scene.store, tmp_path, scene.rules)
    parts = [part async for part in whole(source)]
    assert [part for part in parts if isinstance(part, LedgerEnd)] == [
        part for part in expected if isinstance(part, LedgerEnd)
    ]
    assert replies_of(parts) == replies_of(expected)
    assert sum(map(len, replies_of(parts))) == 1 + 3 + 1
    for kind in (SecretCheck, Keys, SealedKeys):
        found = [part for part in parts if isinstance(part, kind)]
        assert found
        assert found == [part for part in expected if isinstance(part, kind)]
    assert parts[0] == LedgerStart(COMPANY, T0, floor_before(T0 - 50 * DAY), 11, False, parts[0].changes)  # type: ignore[union-attr]
    assert await source.audit_holds()
    await source.close()
    await scene.close()


async def test_the_audit_log_goes_along_and_is_bound_anew(durable: Engine, tmp_path: Path):
    """Engines divide it differently, so that only what its lines say is the same."""
    moving = Mover(durable, ENGINES["sqlite"]).engine
    scene = await Scene.open(moving, tmp_path)
    await fill(scene.store)
    told = []
    for place in range(3):
        if place:
            await scene.reopen()
        engine = ENGINES["sqlite"] if place == 1 else durable
        source = await archive_of(engine).read(scene.store, tmp_path / f"place{place}", scene.rules)
        assert await source.audit_holds()
        told.append([line for part in await shared_of(source) if isinstance(part, Audit) for line in part.lines])
        await source.close()
    assert [(line.action, line.subject) for line in told[0]] == [
        ("correct", "less"),
        ("set_budget", COMPANY),
        ("set_budget", OTHER),
        ("add_key", "k1"),
        ("revoke_key", "k1"),
        ("set_provider_key", "openai"),
        ("set_provider_key", "openai"),
        ("set_provider_key", "gemini"),
        ("remove_provider_key", "gemini"),
    ]
    assert told[0] == told[1] == told[2]
    await scene.close()


async def test_the_audit_log_keeps_its_order_when_the_clock_is_set_back(durable: Engine, tmp_path: Path):
    scene = await Scene.open(durable, tmp_path)
    key = ApiKey("k1", b"h" * 32, COMPANY, frozenset(), None, T0, "ann")
    await scene.store.add_key(key, actor="ann", now_ms=T0)
    await scene.store.revoke_key("k1", company_id=None, actor="ann", now_ms=T0 - DAY)
    assert [(line.action, line.at_ms) for line in await scene.audit()] == [("add_key", T0), ("revoke_key", T0 - DAY)]
    await scene.close()


async def test_what_tells_the_secret_goes_along(durable: Engine, tmp_path: Path):
    scene = await Scene.open(Mover(durable, ENGINES["sqlite"]).engine, tmp_path)
    await scene.store.bind_secret(b"first")
    for _ in range(2):
        await scene.reopen()
        assert not await scene.store.bind_secret(b"second")
    await scene.close()


def replies_of(parts: list[Part]) -> list[list[StoredReply]]:
    return [sorted(part.replies) for part in parts if isinstance(part, StoredReplies)]


async def shared_of(source: ArchiveSource) -> list[Part]:
    return [part async for part in source.shared()]
