"""The port to providers' servers: one request out, one streamed reply back. What implements it is in forward.py.

It follows no redirect, keeps no cookie, decompresses nothing that it did not ask for, and retries nothing.
"""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, Protocol

Pair = tuple[bytes, bytes]


class UpstreamFailed(Exception):
    """The provider could not be asked, or its reply broke off. `was_sent`: the request may have reached it."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class UpstreamSilent(UpstreamFailed):
    """We gave up on a provider that said nothing for long: it may have generated all the time, and bills that."""

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        super().__init__(f"the provider said nothing for {idle_s:g} s", was_sent=True)


class UpstreamRedirected(UpstreamFailed):
    """The provider answered with a redirect, which is never followed: a client of ours must not be led past us."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the provider redirected the call (status {status}): check its base URL", was_sent=True)
        self.status = status


class UpstreamPacked(UpstreamFailed):
    """The reply is compressed, which it was not asked to be, in a way that we cannot read. `encoding`: in ASCII.
    `status`: of the reply, where its head alone is here; None: its body was begun."""

    def __init__(self, encoding: bytes, status: int | None = None) -> None:
        self.encoding = ascii(encoding.decode("latin-1"))[:ENCODING_LENGTH_MAX]
        self.status = status
        super().__init__(f"the provider compressed its reply unasked, with {self.encoding}", was_sent=True)


ENCODING_LENGTH_MAX = 64
"""Of what a provider calls it. Those that are registered have at most eleven characters."""


class UpstreamRequest(NamedTuple):
    """`url` is whole, query included; `headers` are all that go out beside host and content length."""

    verb: str
    url: str
    headers: tuple[Pair, ...]
    body: bytes | None


class UpstreamReply(Protocol):
    """A reply whose body is read as it comes; nothing is read ahead beyond the client's pace but one bounded buffer."""

    status: int
    headers: tuple[Pair, ...]
    """As they came, names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they arrive, decompressed where the provider compressed unasked. Raises
        UpstreamFailed when it breaks off or is shorter than its declared length, UpstreamPacked when it cannot be
        read."""
        ...

    async def close(self) -> None:
        """Let go of the reply; a body that has not ended closes the connection, within a second."""
        ...


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest, on_sent: Callable[[], None] | None = None) -> UpstreamReply:
        """Send, and return when the reply's head is here. Raises UpstreamFailed. Cancelling closes the connection.

        on_sent: called once the request begins to go out. As long as it was not, the provider knows nothing of it.
        """
        ...

    async def close(self) -> None: ...
