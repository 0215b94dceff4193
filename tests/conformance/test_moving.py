"""A ledger that was moved answers as the one it was: from each engine to another and back, through a backup file."""

from pathlib import Path

import pytest

from tests.conformance.checks import LAYERS
from tests.conformance.conftest import ENGINES, need
from tests.conformance.moving import Mover
from tests.conformance.scene import COMPANY, DAY, MINUTE, OTHER, T0, Engine, Scene
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
