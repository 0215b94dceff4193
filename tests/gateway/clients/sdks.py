"""Every official client behind one face, so that one sentence can be tried with all of them.

What is told of a call is in the client's own words: the class that it raised, the status and the message in it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import anthropic
import httpx2
import openai
from google import genai
from google.genai import errors
from google.genai.types import HttpOptions

from tests.gateway.clients.apis import APIS, Api, Come, Raised
from tests.gateway.clients.npm import Npm

PATIENCE_S = 0.5
"""Of a client that waits: it cannot be cancelled, but it can lose its patience."""

RAISED = (openai.OpenAIError, anthropic.AnthropicError, errors.APIError, httpx2.HTTPError)
TIMED_OUT = {"APITimeoutError", "APIConnectionTimeoutError", "ReadTimeout", "APIUserAbortError"}


@dataclass
class Call:
    """One call to be made. Who is to leave does so once `may_leave` is over, or a stream after its first piece."""

    url: str
    key: str
    is_stream: bool = False
    with_tool: bool = False
    leaves: bool = False
    may_leave: Callable[[], Awaitable[object]] | None = None
    patience_s: float | None = None


class Sdk(Protocol):
    api: Api
    retries: bool
    """Whether it asks again by itself."""

    async def make(self, call: Call) -> Come: ...


class _Npm:
    retries = True

    def __init__(self, npm: Npm, api: Api) -> None:
        self._npm = npm
        self.api = api

    async def make(self, call: Call) -> Come:
        asked = json.dumps(self.api.asked(call.is_stream, call.with_tool))
        made = f"client.{self.api.method}({asked}, {{signal}})"
        if call.is_stream:
            made = f"{'abortAfterFirst' if call.leaves else 'collect'}(await {made})"
        options = {} if call.patience_s is None else {"timeout": call.patience_s * 1_000}
        calling = asyncio.ensure_future(self._npm(self.api.client, call.url, call.key, made, **options))
        if call.leaves and not call.is_stream and call.may_leave is not None:
            await call.may_leave()
            self._npm.abort()
        told = await calling
        pieces = told["pieces"] if call.is_stream else [told["returned"]] if "returned" in told else []
        come = self.api.read(pieces)
        if raised := told.get("raised"):
            come = come._replace(raised=Raised(raised["name"], raised.get("status"), raised["message"]))
        return come


class _Python:
    """A client of Python; `waits`: the one whose methods block, in a thread."""

    def __init__(self, api: Api, *, waits: bool) -> None:
        self.api = api
        self._waits = waits
        self.retries = api.client != "genai"

    async def make(self, call: Call) -> Come:
        pieces: list[Any] = []
        raised = None
        client = self._open(call)
        try:
            if self._waits:
                await asyncio.to_thread(self._wait, client, call, pieces)
            elif call.leaves:
                await self._leave(client, call, pieces)
            else:
                await self._fill(client, call, pieces)
        except RAISED as error:
            raised = Raised(type(error).__name__, _status(error), str(error))
        finally:
            await self._close(client)
        return self.api.read([_plain(piece) for piece in pieces])._replace(raised=raised)

    def _method(self, client: Any, call: Call) -> Any:
        names = self.api.method.split(".")
        if self.api.client == "genai":
            client = client if self._waits else client.aio
            names[-1] += "_stream" if call.is_stream else ""
        for name in names:
            client = getattr(client, name)
        return client

    def _arguments(self, call: Call) -> dict[str, Any]:
        if self.api.client != "genai":
            return self.api.asked(call.is_stream, call.with_tool)
        # Who declares functions as data has none that the client could call by itself.
        return self.api.body | ({"config": {"tools": self.api.tools}} if call.with_tool else {})

    async def _fill(self, client: Any, call: Call, pieces: list[Any], has_some: asyncio.Event | None = None) -> None:
        reply = await self._method(client, call)(**self._arguments(call))
        if not call.is_stream:
            pieces.append(reply)
            return
        async for piece in reply:
            pieces.append(piece)
            if has_some:
                has_some.set()

    async def _leave(self, client: Any, call: Call, pieces: list[Any]) -> None:
        """Cancelled from outside, as by a server whose own client left."""
        has_some = asyncio.Event()
        task = asyncio.ensure_future(self._fill(client, call, pieces, has_some))
        await (has_some.wait() if call.is_stream or call.may_leave is None else call.may_leave())
        task.cancel()
        await asyncio.wait([task])

    def _wait(self, client: Any, call: Call, pieces: list[Any]) -> None:
        reply = self._method(client, call)(**self._arguments(call))
        if not call.is_stream:
            pieces.append(reply)
            return
        for piece in reply:
            pieces.append(piece)
            if call.leaves:
                reply.close()
                return

    def _open(self, call: Call) -> Any:
        patience_s = PATIENCE_S if call.leaves and self._waits else call.patience_s
        if self.api.client == "genai":
            timeout = None if patience_s is None else int(patience_s * 1_000)
            return genai.Client(api_key=call.key, http_options=HttpOptions(base_url=call.url, timeout=timeout))
        options: dict[str, Any] = {"base_url": call.url, "api_key": call.key}
        options |= {} if patience_s is None else {"timeout": patience_s}
        options |= {"max_retries": 0} if call.leaves else {}
        if self.api.client == "openai":
            return openai.OpenAI(**options) if self._waits else openai.AsyncOpenAI(**options)
        return anthropic.Anthropic(**options) if self._waits else anthropic.AsyncAnthropic(**options)

    async def _close(self, client: Any) -> None:
        if self.api.client == "genai":
            await client.aio.aclose()
            client.close()
        elif self._waits:
            client.close()
        else:
            await client.close()


def _plain(piece: Any) -> Any:
    return piece.model_dump(mode="json", exclude_none=True)


def _status(error: Any) -> int | None:
    return getattr(error, "status_code", None) or getattr(error, "code", None)


PYTHON = [*APIS]
PYTHON_THAT_WAITS = [f"{name} of who waits" for name in APIS]
NPM = [f"{name} of npm" for name in APIS if name != "gemini"]
SDKS = [*PYTHON, *PYTHON_THAT_WAITS, *NPM]
RETRYING = [name for name in SDKS if "gemini" not in name]


def sdk_named(name: str, npm: Npm | None) -> Sdk:
    """npm: for those of npm's."""
    api = APIS[name.partition(" of ")[0]]
    return _Python(api, waits=name in PYTHON_THAT_WAITS) if npm is None else _Npm(npm, api)
