"""The suite against planted faults: an engine that is wrong in one way must not pass, and a right one must."""

import re
from pathlib import Path

import pytest

from tests.conformance.checks import LAYERS, Check
from tests.conformance.faults.base import DurableMemory, engine_of
from tests.conformance.faults.table import FAULTS, Fault
from tests.conformance.scene import Engine, Scene
from tests.conformance.script import play_script

PAGE = Path(__file__).parents[2] / "docs" / "internals" / "conformance.md"
LAYER_OF = {name: layer for layer, checks in LAYERS.items() for name in checks}
CHECKS = {name: check for checks in LAYERS.values() for name, check in checks.items()}


def names(faults: list[Fault]) -> list[str]:
    return [fault.name for fault in faults]


async def fails(check: Check, engine: Engine, folder: Path) -> bool:
    """Whether a check fails on an engine, in whichever way. One that does not apply does not fail."""
    folder.mkdir()
    scene = await Scene.open(engine, folder)
    try:
        await check(scene)
    except pytest.skip.Exception:
        return False
    except (Exception, pytest.fail.Exception):
        return True
    return False


async def failing(engine: Engine, folder: Path) -> list[str]:
    every = enumerate(CHECKS.items())
    return [name for number, (name, check) in every if await fails(check, engine, folder / str(number))]


async def test_an_engine_without_a_fault_passes_every_check(tmp_path: Path):
    assert await failing(engine_of(DurableMemory), tmp_path) == []


@pytest.mark.parametrize("fault", FAULTS, ids=names(list(FAULTS)))
async def test_every_planted_fault_is_caught(fault: Fault, tmp_path: Path):
    assert await fails(CHECKS[fault.caught_by], engine_of(fault.engine), tmp_path / "place")


@pytest.mark.deep
@pytest.mark.parametrize("fault", FAULTS, ids=names(list(FAULTS)))
async def test_how_many_checks_catch_it(fault: Fault, tmp_path: Path):
    caught_by = await failing(engine_of(fault.engine), tmp_path)
    layers = sorted({LAYER_OF[name] for name in caught_by})
    print(f"{fault.name}: {fault.wrong}: {len(caught_by)} checks fail, in {', '.join(layers)}")
    assert fault.caught_by in caught_by


SCRIPTED = [fault for fault in FAULTS if fault.in_script]


LIVES_MAX = 3_000
"""Most faults end within a hundred; one that needs an id to come again after a restart takes over 300."""


@pytest.mark.parametrize("fault", SCRIPTED, ids=names(SCRIPTED))
def test_the_script_of_random_lives_finds_it_too(fault: Fault):
    # A wrong answer, or an engine that stumbles over what its own fault has taken away.
    with pytest.raises((AssertionError, LookupError)):
        play_script(engine_of(fault.engine), lives=LIVES_MAX, shrinks=False, seeded=True)


def test_the_page_lists_the_faults_and_what_catches_them():
    rows = re.findall(r"^\| (.+) \| `(\w+)` \| (\w+): (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [
        (
            fault.wrong,
            fault.name,
            LAYER_OF[fault.caught_by],
            sentence(fault.caught_by),
            "yes" if fault.in_script else "no",
        )
        for fault in FAULTS
    ]
    assert rows == expected


def sentence(check: str) -> str:
    """A check's name as it reads on the page."""
    return check.removeprefix("test_").replace("_", " ")
