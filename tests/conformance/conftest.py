"""The engines under test. To add an engine is to add a line to ENGINES; every check then runs on it too."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.stores.memory import MemoryStore
from tests.conformance.scene import Engine, FullStore, Scene


async def open_memory(_folder: Path, rules: Rules) -> FullStore:
    return MemoryStore(rules)


ENGINES = {
    "memory": Engine(open_memory, is_durable=False),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.fixture
async def scene(engine: Engine, tmp_path: Path) -> AsyncIterator[Scene]:
    try:
        scene = await Scene.open(engine, tmp_path)
    except (ConnectionError, StoreUnavailable) as error:
        if os.environ.get("CI"):
            raise  # a missing server never shrinks CI
        pytest.skip(str(error))
    yield scene
    await scene.close()
