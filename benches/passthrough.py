"""`python -m benches.passthrough ours|aiohttp|pyreqwest PROVIDER`: passes calls on to a provider and does no more.

An ASGI application on uvicorn and uvloop, as Kvot is, without keys, holds or meters: what a call through an upstream
costs at least. It says `ready http://127.0.0.1:PORT` on stdout.
"""

import asyncio
import sys
from typing import Any

import uvicorn
import uvloop

from benches.rivals import AiohttpUpstream, PyreqwestUpstream
from kvot.gateway.upstream.forward import ForwardUpstream
from kvot.gateway.upstream.port import Upstream, UpstreamRequest

UPSTREAMS = {"ours": ForwardUpstream, "aiohttp": AiohttpUpstream, "pyreqwest": PyreqwestUpstream}
_DROPPED = {b"host", b"content-length", b"connection", b"accept-encoding", b"transfer-encoding"}


class Passthrough:
    def __init__(self, name: str, provider: str) -> None:
        self._made = UPSTREAMS[name]
        self._provider = provider
        self._upstream: Upstream | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._upstream is None:
            self._upstream = self._made()
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = tuple(pair for pair in scope["headers"] if pair[0] not in _DROPPED)
        url = self._provider + scope["raw_path"].decode()
        reply = await self._upstream.send(UpstreamRequest(scope["method"], url, headers, body))
        passed = [pair for pair in reply.headers if pair[0] != b"transfer-encoding"]
        await send({"type": "http.response.start", "status": reply.status, "headers": passed})
        try:
            async for data in reply.chunks():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await reply.close()


async def _serve(name: str, provider: str) -> None:
    config = uvicorn.Config(Passthrough(name, provider), port=0, log_level="critical", lifespan="off", loop="uvloop")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(f"ready http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
