"""However the bytes of a request are cut, the same requests come of them: also of those that offer another protocol."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from kvot.http.protocol import BoundedProtocol

BODY = b"A\nupgrade: x\nupgrade: x\nupgrade: x\n\r\nGET /smuggled HTTP/1.1\r\nhost: b\r\n\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
REQUESTS = {
    "plain": b"POST /a HTTP/1.1\r\nHost: a\r\n" + LENGTH + BODY,
    "offer": b"POST /a HTTP/1.1\r\nHost: a\r\n" + OFFER + LENGTH + BODY,
    "blank lines before": b"\r\n\r\nPOST /a HTTP/1.1\r\nHost: a\r\n" + OFFER + LENGTH + BODY,
    "insecure": b"GET /a HTTP/1.1\r\nHost: a\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
}


class Wire(asyncio.Transport):
    """Takes what is written, and reads for ever."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return None if name == "sslcontext" else default

    def write(self, data: Any) -> None: ...
    def write_eof(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Heard:
    """An application that answers nothing and notes each request. `refused`: why a connection was ended."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.refused: list[object] = []
        self.early = SimpleNamespace(reply=self._refuse)

    def _refuse(self, fault: object, *_: object, is_begun: bool) -> bytes:
        self.refused.append(fault)
        return b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.requests.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def heard(*pieces: bytes) -> Heard:
    app = Heard()
    config = Config(app, lifespan="off", ws="none", log_config=None)
    config.load()
    protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.app = app
    protocol.connection_made(Wire())
    for piece in pieces:
        protocol.data_received(piece)
        for _ in range(8):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(8):
        await asyncio.sleep(0)
    return app


@pytest.mark.parametrize("name", REQUESTS)
async def test_no_cut_changes_a_body_or_makes_a_request_of_one(name):
    request = REQUESTS[name]
    whole = (await heard(request)).requests
    assert whole == [("/a", BODY if name != "insecure" else b"")]
    for place in range(1, len(request)):
        found = await heard(request[:place], request[place:])
        assert (found.requests, found.refused) == (whole, []), (place, request[place - 8 : place + 8])


@pytest.mark.parametrize("name", REQUESTS)
async def test_nor_do_all_of_them(name):
    found = await heard(*[REQUESTS[name][at : at + 1] for at in range(len(REQUESTS[name]))])
    assert (len(found.requests), found.refused) == (1, [])
    assert found.requests[0] == ("/a", BODY if name != "insecure" else b"")
