"""The mock provider: every dialect over a real socket, answering as its script says and remembering what it was asked.

async with Provider(Script(chunks=5)) as provider:
    ...  # provider.url, provider.requests, provider.script = Script(fault=Fault.HANG)
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.provider import anthropic, gemini, ollama, openai
from tests.provider.answer import Answer, Problem
from tests.provider.connection import Connection
from tests.provider.plan import Plan, plan
from tests.provider.received import Received
from tests.provider.script import Script

Answers = Callable[[str, str, dict[str, Any], Script], Answer | None]
"""Path, query, body, script; None: the dialect knows no such path."""

DIALECTS: tuple[tuple[Answers, Callable[[int], bytes]], ...] = (
    (openai.answer, openai.error_body),
    (anthropic.answer, anthropic.error_body),
    (gemini.answer, gemini.error_body),
    (ollama.answer, ollama.error_body),
)
"""Asked in turn; the first that knows the path answers."""

CEILINGS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "num_predict")

PLANS_MAX = 256
"""Prepared replies kept for requests that are asked again with the same bytes, as in benches."""


class Provider:
    """Scripts are used in turn, one for each request; the last stays. `keeps` bounds how many requests it remembers,
    `plans_max` how many prepared replies."""

    def __init__(
        self,
        *scripts: Script,
        port: int = 0,
        keeps: int = 10_000,
        plans_max: int = PLANS_MAX,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._scripts = deque(scripts or (Script(),))
        self._port = port
        self._tls = tls
        self._plans_max = plans_max
        self._plans: dict[tuple[bytes, bytes, int], Plan] = {}
        self._arrived = asyncio.Event()
        self._opened = 0
        self.requests: deque[Received] = deque(maxlen=keeps)
        self.connections: set[Connection] = set()

    async def __aenter__(self) -> "Provider":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", self._port, ssl=self._tls, backlog=2_048)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.abort()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Without a path and without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def script(self) -> Script:
        return self._scripts[0]

    @script.setter
    def script(self, script: Script) -> None:
        """For every request from now on."""
        self._plans.clear()
        self._scripts = deque((script,))

    async def arrival(self, count: int = 1) -> Received:
        """The request with that number, counted from 1, once it is here."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return self.requests[count - 1]

    async def close_idle(self) -> None:
        """Close the connections that wait for a request, as a provider does after its keep-alive time."""
        for connection in [each for each in self.connections if each.is_idle]:
            connection.close()
            await connection.closed.wait()

    def next_script(self) -> Script:
        return self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]

    def note(self, received: Received) -> None:
        self.requests.append(received)
        self._arrived.set()

    def plan(self, received: Received, script: Script) -> Plan:
        key = (received.head.split(b" HTTP", 1)[0], received.body, id(script))
        if (known := self._plans.get(key)) is not None:
            return known
        made = plan(_answer(received, script), script)
        if len(self._plans) < self._plans_max and len(self._scripts) == 1:
            self._plans[key] = made
        return made

    def _connect(self) -> Connection:
        self._opened += 1
        return Connection(self, self._opened)


def ceiling_of(body: dict[str, Any]) -> int:
    """What a request of any dialect names as the ceiling of its answer; 0: nothing."""
    for inner in (body, body.get("generationConfig") or {}, body.get("options") or {}):
        for name in CEILINGS:
            if isinstance(inner.get(name), int):
                return int(inner[name])
    return 0


def _answer(received: Received, script: Script) -> Answer | Problem:
    body = received.json
    for answer, error in DIALECTS:
        if found := answer(received.path, received.query, body, script):
            if script.ceiling_max is not None and (ceiling := ceiling_of(body)) > script.ceiling_max:
                words = f"max_tokens is too large: {ceiling}. This model supports at most {script.ceiling_max}."
                return Problem(400, json.dumps({"error": {"message": words}}).encode())
            if script.refuses in body:
                words = f"Unrecognized request argument supplied: {script.refuses}"
                return Problem(max(400, script.status), json.dumps({"error": {"message": words}}).encode())
            if script.status >= 400:
                return Problem(script.status, script.error or error(script.status))
            return found if script.recorded is None else found._replace(pieces=script.recorded)
    return Problem(404, json.dumps({"error": {"message": f"the mock knows no {received.path}"}}).encode())
