"""Every official client in turn, as `sdk`; and npm's, in one process for all tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from kvot.http.gateway import GatewayEdge
from tests.gateway.clients.npm import Npm
from tests.gateway.clients.sdks import NPM, SDKS, Sdk, sdk_named


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Npm]:
    npm = Npm(tmp_path_factory.mktemp("npm"))
    yield npm
    npm.end()


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return sdk_named(request.param, request.getfixturevalue("npm") if request.param in NPM else None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The retry counts that came with what Kvot's gateway was asked, in turn; None: none came."""
    counts: list[Any] = []
    answer = GatewayEdge.answer

    async def noted(self: Any, provider: Any, scope: Any, *rest: Any) -> None:
        counts.append(dict(scope["headers"]).get(b"x-stainless-retry-count"))
        await answer(self, provider, scope, *rest)

    monkeypatch.setattr(GatewayEdge, "answer", noted)
    return counts
