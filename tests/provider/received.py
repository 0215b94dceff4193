"""One request as it reached the provider, and what became of its connection."""

import asyncio
import json
from typing import Any


class Received:
    """Read its headers and body as they came; await what happens to it.

    blocked: set once the provider could send no more because nobody read. closed: set when the connection is gone;
    `sent_bytes` then is how much of the reply, head included, had left the provider's own buffer.
    """

    def __init__(self, head: bytes, body: bytes, connection: int) -> None:
        self.head = head
        self.body = body
        self.connection = connection
        """The how-manieth connection to this provider it came on: two requests with one number shared it."""
        self.reply = b""
        """The body of the reply, whole and as it was before framing and compression; of a cut one what was to be sent;
        of an endless one nothing."""
        self.sent_bytes = 0
        self.is_answered = False
        """The whole reply was handed to the connection, or the fault that was asked for has happened."""
        self.closed = asyncio.Event()
        self.blocked = asyncio.Event()

    @property
    def verb(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        """Path and query."""
        return self.head.split(b" ", 2)[1].decode()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """In order, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> dict[str, Any]:
        """The body; {} if it is no JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}
