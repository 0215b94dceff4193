"""What does a format cost beside JSON, and what does it cost to negotiate one?

Sketch: msgspec writes the JSON of a usage reply in 0.2 to 0.3 µs, in C. The best that Python can do for the same six
members, one f-string, takes 2.3 times that; a plan is that f-string, compiled once, and with its look-up and encoding
takes three times. JSON Lines are msgspec's own. So the bounds are those of a whole call, which takes some 15 µs without
a socket and in which a microsecond can hardly be seen. Negotiation is one look-up by the header's bytes: nothing that
can be measured.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from benches.report import Ratio, in_turn, ratio_of
from kvot.contract.usage import AiChatUsageResponse
from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.principal import Principal
from kvot.http.app import App
from kvot.http.health import Health
from kvot.operations import Services
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.memory import MemoryStore
from kvot.wire.formats import FORMATS, JSON
from kvot.wire.style import JsonCase, Style

COMPANY = "9f0c1d2e-0000-4000-8000-000000000001"
NOW_MS = 1_790_000_000_000
ROUNDS = 15
WRITES = 20_000
CALLS = 2_000
BOUNDS = {"jsv": 2, "csv": 2, "jsonl": 2, "xml": 3}
PATH = "/assistant/ai-chat/usage"
RESPONSE = AiChatUsageResponse(
    company_id=COMPANY,
    tokens_used=1_234,
    token_limit=1_000_000,
    tokens_remaining=998_766,
    is_within_budget=True,
    window_days=30,
)


class OneCaller:
    """Everybody is the one company: what proving a credential costs is not asked here."""

    async def principal(self, authorization: bytes | None, api_key: bytes | None, peer: str | None) -> Principal:
        return Principal(COMPANY, None, frozenset(), "bench")


def measure() -> Iterator[Ratio]:
    """each format against JSON, alone and in a whole call; negotiated JSON against JSON fixed by the path"""
    yield from _alone()
    with asyncio.Runner() as runner:
        call = _Calls(runner)
        yield call.ratio("whole call, negotiated JSON / JSON by extension", "≤ 1.15", call.negotiated, call.fixed)
        for key, bound in BOUNDS.items():
            asked = call.in_format(key)
            yield call.ratio(f"whole call, {key} / json", f"≤ {bound}", asked, call.fixed)


def _alone() -> Iterator[Ratio]:
    style = Style()
    fixed = _writing(lambda: JSON.write(RESPONSE, style))
    for key in BOUNDS:
        write = FORMATS[key].write
        ours, json = in_turn(ROUNDS, _writing(lambda write=write: write(RESPONSE, style)), fixed)  # type: ignore[misc]
        yield _ratio(f"write one usage reply, {key} / json", "none: see the whole call", ours, json)
    pascal = Style(JsonCase.PASCAL)
    ours, json = in_turn(ROUNDS, _writing(lambda: JSON.write(RESPONSE, pascal)), fixed)
    yield _ratio("write one usage reply, JSON in PascalCase / camelCase", "none", ours, json)


def _writing(write: Callable[[], bytes]) -> Callable[[], float]:
    def write_us() -> float:
        start = time.perf_counter()
        for _ in range(WRITES):
            write()
        return (time.perf_counter() - start) / WRITES * 1e6

    return write_us


def _ratio(question: str, bound: str, ours: list[float], theirs: list[float]) -> Ratio:
    return Ratio(question, ratio_of(ours, theirs), bound, f"{min(ours):.2f} µs", f"{min(theirs):.2f} µs")


class _Calls:
    """Whole calls of the app, without a socket."""

    def __init__(self, runner: asyncio.Runner) -> None:
        store = MemoryStore(Rules())
        ledger = Ledger(store, lambda: NOW_MS)
        services = Services(ledger, store, b"pepper", lambda: str(uuid4()), ProviderKeys(store, Sealer(bytes(32))))
        self._app = App(services, OneCaller(), Health(ledger))
        self._runner = runner
        self.fixed = self._calling(f"{PATH}.json", b"*/*")
        self.negotiated = self._calling(PATH, b"text/plain;q=0.5, application/json")

    def in_format(self, key: str) -> Callable[[], float]:
        return self._calling(f"{PATH}.{key}", b"*/*")

    def ratio(self, question: str, bound: str, ours: Callable[[], float], theirs: Callable[[], float]) -> Ratio:
        return _ratio(question, bound, *in_turn(ROUNDS, ours, theirs))

    def _calling(self, path: str, accept: bytes) -> Callable[[], float]:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"accept", accept), (b"user-agent", b"bench"), (b"x-api-key", b"k")],
            "client": ("127.0.0.1", 1),
        }
        return lambda: self._runner.run(_call_us(self._app, scope))


async def _call_us(app: App, scope: Any) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        await app(scope, _receive, _send)
    return (time.perf_counter() - start) / CALLS * 1e6


async def _receive() -> Any:
    raise AssertionError("a GET has no body to read")


async def _send(message: Any) -> None:
    assert message.get("status", 200) == 200
