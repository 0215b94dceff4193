"""One call of each dialect, plain and streamed, as its official client sends it; and what a bare client sees of it."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.gateway.conftest import Scene
from tests.provider.received import Received

TEXT = "Say hello to everybody who reads this, please."
_SAID = [{"role": "user", "content": TEXT}]
_CHAT = {"model": "m", "messages": _SAID, "max_completion_tokens": 100}
_RESPONSE = {"model": "m", "input": TEXT, "max_output_tokens": 100}
_MESSAGE = {"model": "m", "messages": _SAID, "max_tokens": 100}
_CONTENTS = {"contents": [{"role": "user", "parts": [{"text": TEXT}]}], "generationConfig": {"maxOutputTokens": 100}}
_OLLAMA = {"model": "m", "options": {"num_predict": 100}}
_OLLAMA_CHAT = _OLLAMA | {"messages": _SAID}
_OLLAMA_TEXT = _OLLAMA | {"prompt": TEXT}
_STREAM = {"stream": True}
_PLAIN = {"stream": False}

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/openai/v1/chat/completions", _CHAT),
    "chat-stream": ("/openai/v1/chat/completions", _CHAT | _STREAM),
    "responses": ("/openai/v1/responses", _RESPONSE),
    "responses-stream": ("/openai/v1/responses", _RESPONSE | _STREAM),
    "messages": ("/anthropic/v1/messages", _MESSAGE),
    "messages-stream": ("/anthropic/v1/messages", _MESSAGE | _STREAM),
    "gemini": ("/gemini/v1beta/models/m:generateContent", _CONTENTS),
    "gemini-stream": ("/gemini/v1beta/models/m:streamGenerateContent?alt=sse", _CONTENTS),
    "gemini-array-stream": ("/gemini/v1beta/models/m:streamGenerateContent", _CONTENTS),
    "ollama": ("/ollama/api/chat", _OLLAMA_CHAT | _PLAIN),
    "ollama-stream": ("/ollama/api/chat", _OLLAMA_CHAT),
    "ollama-text": ("/ollama/api/generate", _OLLAMA_TEXT | _PLAIN),
    "ollama-text-stream": ("/ollama/api/generate", _OLLAMA_TEXT),
}

KEY_HEADERS = {"openai": "authorization", "anthropic": "authorization", "gemini": "x-goog-api-key"}


@dataclass
class Seen:
    """What a client saw. `status` None: no reply at all. `is_whole`: it ended as HTTP says that a reply ends."""

    status: int | None = None
    headers: httpx2.Headers = field(default_factory=httpx2.Headers)
    body: bytes = b""
    is_whole: bool = False


def is_stream(call: str) -> bool:
    return call.endswith("-stream")


def headers_of(path: str, key: str) -> dict[str, str]:
    name = KEY_HEADERS.get(path.split("/")[1], "authorization")
    return {name: f"Bearer {key}" if name == "authorization" else key}


async def ask(scene: Scene, call: str, headers: dict[str, str] | None = None) -> Seen:
    path, body = CALLS[call]
    return await post(scene, path, body, headers)


def text_of(call: str, received: Received) -> bytes:
    """What is to reach the client of a reply: all of it, but for the chunk that only the gateway asked for."""
    if call != "chat-stream":
        return received.reply
    ends = re.finditer(rb"\A|(?:\r\n\r\n|\n\n|\r\r)", received.reply)
    starts = [end.end() for end in ends]
    events = [received.reply[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return b"".join(event for event in events if b'"choices":[],' not in event)


async def post(
    scene: Scene,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    seen: Seen | None = None,
    verb: str = "POST",
) -> Seen:
    """seen: filled in as the reply comes."""
    seen = seen or Seen()
    sent = headers_of(path, scene.key) | (headers or {})
    try:
        async with (
            httpx2.AsyncClient(timeout=60, verify=False) as client,
            client.stream(verb, scene.url + path, json=body, headers=sent) as reply,
        ):
            seen.status, seen.headers = reply.status_code, reply.headers
            async for piece in reply.aiter_raw():
                seen.body += piece
            seen.is_whole = True
    except httpx2.RemoteProtocolError:
        pass
    return seen


REPLIES_WITHIN_S = 10.0


async def connect(scene: Scene) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = urlsplit(scene.url)
    return await asyncio.open_connection(url.hostname, url.port)


async def send_raw(scene: Scene, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of all that comes back until the server closes the connection."""
    reader, writer = await connect(scene)
    writer.write(request)
    async with asyncio.timeout(REPLIES_WITHIN_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body
