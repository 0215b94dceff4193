"""What becomes of the lost attempts that are found in the ledger: taken back once, no more than asked for."""

import asyncio

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.ledger import Ledger
from kvot.core.model import NewHold, Settlement, Source
from kvot.gateway import elsewhere as elsewhere_module
from kvot.gateway.elsewhere import Elsewhere, Sought
from kvot.gateway.retries import Attempt
from kvot.gateway.settling import Settler
from kvot.operations.ids import new_gateway_id
from kvot.stores.memory import MemoryStore
from kvot.telemetry.tally import Tally
from tests.conformance.scene import COMPANY, T0
from tests.conformance.scene import OTHER as BUSY

ATTEMPT = Attempt(b"call", b"words", True, 2)
OTHER = Attempt(b"another call", b"words", True, 2)
SAME_KEY = Attempt(b"call", b"other words", True, 2)
TTL_MS = 60_000
CALL_MAX_S = 3_600


class Scene:
    """Two processes with one ledger, whose clock the test moves. Each attempt is made a millisecond after the last."""

    def __init__(self) -> None:
        self.now_ms = T0
        self.ledger = Ledger(MemoryStore(Rules()), lambda: self.now_ms)
        self.one, self.two = (Elsewhere(self.ledger, Settler(self.ledger), b"key", CALL_MAX_S) for _ in range(2))
        self.tally = Tally()

    async def make(self, attempt: Attempt = ATTEMPT, tokens: int = 100) -> str:
        self.now_ms += 1
        hold_id = new_gateway_id(self.one.tag(attempt), lambda: self.now_ms * 1_000_000)
        await self.ledger.reserve(COMPANY, NewHold(hold_id, tokens, TTL_MS, dispatched=True))
        return hold_id

    async def lose(self, tokens: int = 7) -> str:
        hold_id = await self.make()
        await self.ledger.settle(COMPANY, hold_id, Settlement(tokens, Source.PARTIAL))
        return hold_id

    async def look(self, count: int = 2, *known: str, process: Elsewhere | None = None) -> None:
        process = process or self.two
        process.take_back(COMPANY, ATTEMPT, known, count, self.tally)
        await process.close()

    async def used(self) -> int:
        return (await self.ledger.usage(COMPANY)).tokens_used


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_last_ones_are_taken_back_first_and_no_more_than_asked_for(scene):
    for tokens in (1, 10, 100):
        await scene.lose(tokens)
    await scene.look(2)
    assert (await scene.used(), scene.tally.corrected_tokens) == (1, 110)


async def test_what_another_process_took_back_is_not_one_of_those_that_may_be(scene):
    for tokens in (1, 10, 100):
        await scene.lose(tokens)
    await scene.look(1, process=scene.one)
    await scene.look(2, process=scene.two)
    assert (await scene.used(), scene.tally.corrected_tokens) == (0, 111)


async def test_what_is_known_is_left_alone(scene):
    lost = await scene.lose(7)
    await scene.look(2, lost)
    assert await scene.used() == 7


@pytest.mark.parametrize("other", [OTHER, SAME_KEY])
async def test_another_call_s_attempts_are_left_alone(scene, other):
    await scene.make(other)
    scene.now_ms += TTL_MS
    await scene.look()
    assert await scene.used() == 100


async def test_a_hold_that_ran_out_is_taken_back_and_what_its_call_says_late_counts(scene):
    hold_id = await scene.make()
    scene.now_ms += TTL_MS
    assert await scene.used() == 100
    await scene.look()
    assert await scene.used() == 0
    await scene.ledger.settle(COMPANY, hold_id, Settlement(30))  # its process lives, and its answer was delivered
    assert await scene.used() == 30
    assert (await scene.ledger.verify(COMPANY)).differences == ()


async def test_one_that_is_under_way_is_looked_for_again_when_it_would_have_run_out(scene, monkeypatch):
    monkeypatch.setattr(elsewhere_module, "GATHER_S", 0.0)
    await scene.make()
    scene.two.take_back(COMPANY, ATTEMPT, (), 1, scene.tally)
    scene.now_ms += TTL_MS - 20
    while await scene.used() or scene.now_ms < T0 + TTL_MS + 1:
        scene.now_ms += 1
        await asyncio.sleep(0)
    await scene.two.close()
    assert (await scene.used(), scene.tally.corrected_tokens) == (0, 100)


async def test_one_that_is_under_way_and_then_lost_is_found_long_before_its_hold_would_have_run_out(scene, monkeypatch):
    monkeypatch.setattr(elsewhere_module, "GATHER_S", 0.0)
    hold_id = await scene.make()
    scene.two.take_back(COMPANY, ATTEMPT, (), 1, scene.tally)
    for _ in range(10):
        await asyncio.sleep(0)
    await scene.ledger.settle(COMPANY, hold_id, Settlement(7, Source.PARTIAL))
    async with asyncio.timeout(10):
        while not scene.tally.corrected_tokens:
            await asyncio.sleep(0)
    await scene.two.close()
    assert await scene.used() == 0


@pytest.mark.parametrize(("looked_s", "next_s"), [(0.0, 0.5), (0.5, 1.5), (1.5, 3.5), (3.5, 4.0)])
def test_looks_come_ever_less_often_and_one_when_the_hold_runs_out(scene, looked_s, next_s):
    sought = Sought(b"\0" * 5, 1, scene.tally, ends_at_s=300.0)
    while sought.look_at_s <= looked_s:
        sought.wait(sought.look_at_s, 4.0 - sought.look_at_s)
    assert sought.look_at_s == next_s


async def test_a_server_that_stops_waits_for_none_that_is_under_way(scene):
    await scene.make()
    async with asyncio.timeout(10):
        await scene.look()
    scene.now_ms += TTL_MS
    assert await scene.used() == 100


async def test_a_store_that_cannot_be_asked_now_is_asked_again(scene, monkeypatch):
    monkeypatch.setattr(elsewhere_module, "GATHER_S", 0.0)
    await scene.lose(7)
    look, faults = scene.ledger.tagged_holds, [StoreUnavailable("not now")] * 2

    async def fails_twice(*arguments, **more):
        if faults:
            raise faults.pop()
        return await look(*arguments, **more)

    monkeypatch.setattr(scene.ledger, "tagged_holds", fails_twice)
    scene.two.take_back(COMPANY, ATTEMPT, (), 1, scene.tally)
    while not scene.tally.corrected_tokens:
        await asyncio.sleep(0)
    assert (await scene.used(), faults) == (0, [])


async def test_calls_of_a_company_that_come_together_share_one_look(scene, monkeypatch):
    looks = []
    look = scene.ledger.tagged_holds

    async def noted(company_id, tags, **more):
        looks.append(len(tags))
        return await look(company_id, tags, **more)

    monkeypatch.setattr(scene.ledger, "tagged_holds", noted)
    await scene.lose(7)
    for attempt in (ATTEMPT, OTHER, ATTEMPT):
        scene.two.take_back(COMPANY, attempt, (), 1, scene.tally)
    await scene.two.close()
    assert (looks, await scene.used()) == ([2], 0)


async def test_calls_of_the_same_words_ask_for_each_lost_attempt_once(scene, monkeypatch):
    corrected = []
    correct = scene.ledger.correct

    async def noted(company_id, correction):
        corrected.append(correction.target_id)
        return await correct(company_id, correction)

    monkeypatch.setattr(scene.ledger, "correct", noted)
    for _ in range(20):
        await scene.lose(7)
    await scene.look(2, process=scene.one)
    for _ in range(30):
        scene.two.take_back(COMPANY, ATTEMPT, (), 2, scene.tally)
    await scene.two.close()
    assert (await scene.used(), len(corrected)) == (0, 2 + 20)


async def test_what_one_company_repeats_leaves_room_for_another(scene):
    for number in range(elsewhere_module.WAITING_MAX):
        scene.two.take_back(BUSY, ATTEMPT._replace(call=b"%d" % number), (), 1, scene.tally)
    await scene.lose(7)
    await scene.look()
    assert await scene.used() == 0


async def test_what_was_lost_longer_ago_than_clients_retry_stays_charged(scene):
    await scene.lose(7)
    scene.now_ms += 300_001
    await scene.look()
    assert await scene.used() == 7


async def test_an_attempt_that_began_long_ago_and_was_lost_just_now_is_taken_back(scene):
    hold_id = await scene.make()
    for _ in range(10):
        scene.now_ms += TTL_MS - 1
        await scene.ledger.renew(COMPANY, hold_id, TTL_MS)
    await scene.ledger.settle(COMPANY, hold_id, Settlement(7, Source.PARTIAL))
    await scene.look()
    assert await scene.used() == 0


async def test_two_processes_that_look_at_once_take_back_once(scene):
    for tokens in (1, 10, 100):
        await scene.lose(tokens)
    await asyncio.gather(scene.look(1, process=scene.one), scene.look(1, process=scene.two))
    assert (await scene.used(), scene.tally.corrected_tokens) == (1, 110)


def test_a_tag_is_of_the_call_and_of_the_key(scene):
    foreign = Elsewhere(scene.ledger, Settler(scene.ledger), b"another key", CALL_MAX_S)
    assert scene.one.tag(ATTEMPT) == scene.two.tag(ATTEMPT)
    assert len({scene.one.tag(ATTEMPT), scene.one.tag(OTHER), foreign.tag(ATTEMPT)}) == 3
    assert scene.one.tag(None) is None
