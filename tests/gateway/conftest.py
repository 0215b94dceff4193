"""Kvot as it is served, on a real port over a real database, between official clients and the mock provider."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kvot.bootstrap import House, open_app, open_services
from kvot.contract.keys import CreateApiKey
from kvot.core.budget import Budget
from kvot.core.model import Share, Usage
from kvot.core.principal import SUPERADMIN, Principal
from kvot.core.window import MS_PER_HOUR
from kvot.http.app import App
from kvot.http.server import Stopper, serve
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.settings import OWN_PROVIDERS, Settings
from tests.provider import Provider, Script

COMPANY = "c0000000-0000-4000-8000-000000000001"
CORRECTED_WITHIN_S = 5.0
SETTLED_WITHIN_S = 30.0
OPERATOR = Principal(None, None, frozenset({SUPERADMIN}), "operator")


@dataclass(frozen=True)
class Scene:
    """One server, one company with a budget and a key, one mock provider behind every dialect."""

    house: House
    app: App
    provider: Provider
    url: str
    key: str
    stopper: Stopper

    async def usage(self) -> Usage:
        return await self.house.services.ledger.usage(COMPANY)

    async def used(self) -> int:
        return (await self.usage()).tokens_used

    async def held(self) -> int:
        return (await self.usage()).tokens_held

    async def shares(self, by: str) -> list[Share]:
        ledger = self.house.services.ledger
        hour = ledger.now_ms() // MS_PER_HOUR
        return await ledger.breakdown(COMPANY, by, first_hour=hour - 1, end_hour=hour + 1)

    async def comes_to(self, tokens: int) -> bool:
        """Whether so much was used in the end: corrections come after their call's reply."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CORRECTED_WITHIN_S):
                while await self.settled() != tokens:
                    await asyncio.sleep(0)
        return await self.used() == tokens

    async def settled(self) -> int:
        """What was used, once nothing is held any more: of a client that left, the end comes after it."""
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while await self.held():
                await asyncio.sleep(0)
        return await self.used()


@pytest.fixture
def provider_scripts() -> tuple[Script, ...]:
    return (Script(),)


OpenScene = Callable[..., Any]


@asynccontextmanager
async def opened(folder: Path, *scripts: Script, limit: int = 1_000_000, **settings: Any) -> AsyncIterator[Scene]:
    """A scene with a token limit, the provider's scripts, and settings beside the usual ones."""
    async with Provider(*scripts) as provider:
        overrides = {f"{name}_base_url": provider.url for name in OWN_PROVIDERS}
        overrides |= {f"{name}_api_key": f"sk-{name}" for name in OWN_PROVIDERS}
        overrides |= {"database": f"sqlite:///{folder}/kvot.db", **settings}
        house = open_services(Settings.load({}, None, overrides))
        await house.services.ledger.set_budget(COMPANY, Budget(limit, 30), actor="test", reason=None)
        made = await create_key(house.services, Caller(OPERATOR), CreateApiKey(company_id=COMPANY, name="assistant"))
        assert made.key is not None
        app, close = open_app(Settings.load({}, None, overrides), house)
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stopper = Stopper()
        serving = serve(app, "127.0.0.1", 0, on_started=started.set_result, close=close, stopper=stopper)
        task = asyncio.create_task(serving)
        try:
            yield Scene(house, app, provider, await started, made.key, stopper)
        finally:
            stopper.stop()
            await task


@pytest.fixture
async def open_scene(tmp_path: Path) -> AsyncIterator[OpenScene]:
    async with AsyncExitStack() as stack:

        async def open_(*scripts: Script, **settings: Any) -> Scene:
            return await stack.enter_async_context(opened(tmp_path, *scripts, **settings))

        yield open_


@pytest.fixture
async def open_compatible(open_scene: OpenScene) -> AsyncIterator[OpenScene]:
    """The same, with the mock behind `/other`, in the dialect of those that follow OpenAI."""
    async with AsyncExitStack() as stack:

        async def open_(*scripts: Script, **settings: Any) -> Scene:
            provider = await stack.enter_async_context(Provider(*scripts))
            table = {"dialect": "compatible", "base_url": f"{provider.url}/v1", "api_key": "sk-other"}
            scene: Scene = await open_scene(providers={"other": table}, **settings)
            return replace(scene, provider=provider)

        yield open_


@pytest.fixture
async def scene(open_scene: OpenScene, provider_scripts: tuple[Script, ...]) -> Scene:
    scene: Scene = await open_scene(*provider_scripts)
    return scene
