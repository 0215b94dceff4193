"""Kvot as it is served, on a real port over a real database, between official clients and the mock provider."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kvot.bootstrap import House, open_app, open_services
from kvot.contract.keys import CreateApiKey
from kvot.core.budget import Budget
from kvot.core.model import Share
from kvot.core.principal import SUPERADMIN, Principal
from kvot.core.window import MS_PER_HOUR
from kvot.gateway.providers import DIALECTS
from kvot.http.server import Stopper, serve
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.settings import Settings
from tests.provider import Provider, Script

COMPANY = "c0000000-0000-4000-8000-000000000001"
OPERATOR = Principal(None, None, frozenset({SUPERADMIN}), "operator")


@dataclass(frozen=True)
class Scene:
    """One server, one company with a budget and a key, one mock provider behind every dialect."""

    house: House
    provider: Provider
    url: str
    key: str

    async def used(self) -> int:
        return (await self.house.services.ledger.usage(COMPANY)).tokens_used

    async def held(self) -> int:
        return (await self.house.services.ledger.usage(COMPANY)).tokens_held

    async def shares(self, by: str) -> list[Share]:
        ledger = self.house.services.ledger
        hour = ledger.now_ms() // MS_PER_HOUR
        return await ledger.breakdown(COMPANY, by, first_hour=hour - 1, end_hour=hour + 1)

    async def settled(self) -> int:
        """What was used, once nothing is held any more: of a client that left, the end comes after it."""
        while await self.held():
            await asyncio.sleep(0)
        return await self.used()


@pytest.fixture
def provider_scripts() -> tuple[Script, ...]:
    return (Script(),)


OpenScene = Callable[..., Any]


@pytest.fixture
async def open_scene(tmp_path: Path) -> AsyncIterator[OpenScene]:
    """Opens a scene with a token limit, the provider's scripts, and settings beside the usual ones."""
    opened: list[tuple[Stopper, asyncio.Task[int], Provider]] = []

    async def open_(*scripts: Script, limit: int = 1_000_000, **settings: Any) -> Scene:
        provider = await Provider(*scripts).__aenter__()
        names = tuple(set(("openai", "anthropic", "gemini", "ollama")) & DIALECTS.keys())
        overrides = {f"{name}_base_url": provider.url for name in names} | {
            f"{name}_api_key": f"sk-{name}" for name in names
        }
        overrides |= {"database": f"sqlite:///{tmp_path}/kvot.db", **settings}
        house = open_services(Settings.load({}, None, overrides))
        await house.services.ledger.set_budget(COMPANY, Budget(limit, 30), actor="test", reason=None)
        app, close = open_app(Settings.load({}, None, overrides), house)
        made = await create_key(house.services, Caller(OPERATOR), CreateApiKey(company_id=COMPANY, name="assistant"))
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stopper = Stopper()
        task = asyncio.create_task(
            serve(app, "127.0.0.1", 0, on_started=started.set_result, close=close, stopper=stopper)
        )
        opened.append((stopper, task, provider))
        assert made.key is not None
        return Scene(house, provider, await started, made.key)

    yield open_
    for stopper, task, provider in opened:
        stopper.stop()
        await task
        await provider.__aexit__(None, None, None)


@pytest.fixture
async def scene(open_scene: OpenScene, provider_scripts: tuple[Script, ...]) -> Scene:
    scene: Scene = await open_scene(*provider_scripts)
    return scene
