"""What the log says of calls that ended badly: enough to find the one that a client names, and nothing it sent."""

from typing import Any

import httpx2
import pytest

from kvot.core.errors import StoreUnavailable
from tests.gateway.calls import TEXT, ask, headers_of
from tests.gateway.conftest import Scene
from tests.provider import Fault, Script

MARKER = "zq-marker"


class Lines:
    """Every line: its event, and what stands beside it."""

    def __init__(self, scene: Scene) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []
        gateway: Any = scene.app._gateway
        gateway._log.sink = self

    def note(self, event: str, **beside: Any) -> None:
        self.all.append((event, beside))

    info = warning = error = note


FAULTS: dict[str, tuple[Script, Exception | None, int]] = {
    "provider failed": (Script(fault=Fault.DROP_BEFORE_HEAD), None, 502),
    "store unavailable": (Script(), StoreUnavailable("no"), 503),
    "unforeseen error": (Script(), RuntimeError(MARKER), 500),
}


@pytest.mark.parametrize("event", FAULTS)
async def test_both_lines_of_a_call_that_failed_name_it_as_its_client_was_told_to(open_scene, monkeypatch, event):
    script, error, status = FAULTS[event]
    scene = await open_scene(script)
    lines = Lines(scene)

    async def fails(*_: Any, **__: Any) -> Any:
        assert error is not None
        raise error

    if error is not None:
        monkeypatch.setattr("kvot.core.ledger.Ledger.reserve", fails)
    seen = await ask(scene, "chat", {"x-kvot-feature": MARKER})
    assert (seen.status, [name for name, _ in lines.all]) == (status, [event, "request"])
    name = {"request_id": seen.headers["x-kvot-request-id"], "provider": "openai", "endpoint": "chat"}
    for _, line in lines.all:
        assert line == line | name
        assert "operation" not in line
        assert not [word for word in (MARKER, TEXT, scene.key, "sk-") if word in repr(line)]


async def test_a_fault_in_the_charge_of_a_call_is_named_by_it_and_without_its_text(scene, monkeypatch, capfd):
    lines = Lines(scene)

    def fails(*_: Any) -> Any:
        raise RuntimeError(MARKER)

    monkeypatch.setattr("kvot.core.ledger.Ledger.settle_soon", fails)
    seen = await ask(scene, "chat")
    ((event, line),) = lines.all
    assert (event, line["request_id"]) == ("unforeseen error", seen.headers["x-kvot-request-id"])
    assert MARKER not in repr(line) + capfd.readouterr().err


@pytest.mark.parametrize(
    ("path", "endpoint"), [("/gemini/v1beta/models/zq-marker:countTokens", "count_tokens"), ("/gemini/zq-marker", None)]
)
async def test_a_path_is_named_by_what_it_is_and_never_as_it_was_sent(scene, path, endpoint):
    lines = Lines(scene)
    async with httpx2.AsyncClient() as client:
        reply = await client.post(f"{scene.url}{path}?key=zq-marker", headers=headers_of(path, "zq-marker"), json={})
    ((event, line),) = lines.all
    assert (event, reply.status_code, line["status"]) == ("request", 401, 401)
    assert (line["provider"], line["endpoint"]) == ("gemini", endpoint)
    assert line["request_id"] == reply.headers["x-kvot-request-id"]
    assert MARKER not in repr(line)
