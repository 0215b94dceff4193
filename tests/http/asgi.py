"""An app without a socket: for what is about requests and replies, not about connections."""

import asyncio
from collections.abc import Coroutine
from itertools import chain
from typing import Any
from urllib.parse import unquote

from kvot.http.app import App
from tests.http.conftest import Answer


class Asgi:
    """`send` as that of `Server`. A header with several values is a list."""

    def __init__(self, app: App, scheme: str = "http") -> None:
        self.app = app
        self.scheme = scheme
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()

    def send(self, method: str, target: str, body: bytes | str | None = None, **headers: str) -> Answer:
        raw = body.encode() if isinstance(body, str) else body
        named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        return self.send_raw(method, target, raw, named)

    def send_raw(
        self, method: str, target: str, body: bytes | None = None, headers: list[tuple[bytes, bytes]] | None = None
    ) -> Answer:
        return self._runner.run(self._ask(self._scope(method, target, body, headers), body or b""))

    def send_many(
        self, clients: int, times: int, method: str, target: str, headers: list[tuple[bytes, bytes]]
    ) -> list[int]:
        """The statuses of one request, sent by so many clients at once, by each of them so many times in turn."""

        async def client() -> list[int]:
            scopes = [self._scope(method, target, None, headers) for _ in range(times)]
            return [(await self._ask(scope, b"")).status for scope in scopes]

        async def all_clients() -> list[int]:
            return [*chain.from_iterable(await asyncio.gather(*(client() for _ in range(clients))))]

        return self._runner.run(all_clients())

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(what)

    def _scope(
        self, method: str, target: str, body: bytes | None, headers: list[tuple[bytes, bytes]] | None
    ) -> dict[str, Any]:
        path, _, query = target.partition("?")
        length = [(b"content-length", b"%d" % len(body))] if body is not None else []
        return {
            "type": "http",
            "method": method,
            "scheme": self.scheme,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [*(headers or []), *length],
            "client": ("127.0.0.1", 1),
        }

    async def _ask(self, scope: Any, body: bytes) -> Answer:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        headers: dict[str, str] = {}
        for name, value in start["headers"]:
            key = name.decode()
            headers[key] = f"{headers[key]}, {value.decode()}" if key in headers else value.decode()
        return Answer(start["status"], headers, b"".join(each["body"] for each in rest))
