"""The races again, between four stores: one store's lanes let no two calls of a company meet in the database."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from kvot.core.model import EventColumns, NewEvent, Status
from tests.conformance.checks import LAYERS, Check
from tests.conformance.scene import COMPANY, OTHER, T0, Scene
from tests.postgres.databases import DATABASES, run

from .crowd import CROWDS, sees_what_another_writes_meanwhile
from .test_trouble import TERMINATE, eventually

RACES = LAYERS["races"]
CLIENTS = 64
TRIES = 20


@pytest.fixture(params=CROWDS)
async def scene(server: object, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    scene = await Scene.open(CROWDS[request.param], tmp_path)
    yield scene
    await scene.close()


@pytest.mark.parametrize("race", RACES.values(), ids=list(RACES))
async def test_a_race(race: Check, scene: Scene):
    await race(scene)


async def test_what_another_transaction_writes_meanwhile_is_seen(scene: Scene):
    await sees_what_another_writes_meanwhile(scene)


async def test_of_a_budget_for_one_percent_of_the_tries_not_a_token_more_is_held(scene: Scene):
    await scene.set_budget(CLIENTS * TRIES // 100 * 10)

    async def client(number: int) -> int:
        answers = [await scene.reserve(f"h{number}-{turn}", 10) for turn in range(TRIES)]
        return sum(answer.status is Status.DONE for answer in answers)

    held = sum(await asyncio.gather(*map(client, range(CLIENTS))))
    assert held == CLIENTS * TRIES // 100
    assert await scene.held() == held * 10


async def test_clients_that_repeat_lose_and_double_nothing_while_backends_are_terminated(scene: Scene):
    await scene.set_budget(2_000)
    taken: set[str] = set()
    name = DATABASES.name(scene.folder)
    running = CLIENTS

    async def client(number: int) -> None:
        nonlocal running
        for turn in range(TRIES):
            hold_id = f"h{number}-{turn}"
            answer = await eventually(partial(scene.reserve, hold_id, 10))
            if answer.status in (Status.DONE, Status.REPLAYED):
                taken.add(hold_id)
        running -= 1

    async def trouble() -> int:
        times = 0
        while running and times < 5:
            await run(name, TERMINATE)
            times += 1
        return times

    *_, times = await asyncio.gather(*map(client, range(CLIENTS)), trouble())
    assert times == 5
    assert await eventually(scene.held) == 10 * len(taken) == 2_000
    proof = await eventually(partial(scene.store.verify, COMPANY, now_ms=T0))
    assert proof.differences == ()


async def test_batches_over_the_same_companies_never_wait_for_each_other_in_a_ring(scene: Scene):
    batches = [
        [(company, NewEvent(f"{number}-{each}", 1)) for each in range(20) for company in companies]
        for number, companies in enumerate([(COMPANY, OTHER), (OTHER, COMPANY)] * 8)
    ]
    await asyncio.gather(*(scene.store.record_many(EventColumns.of(batch), now_ms=T0) for batch in batches))
    assert (await scene.used(), await scene.used(company=OTHER)) == (320, 320)
