"""Behind proxies: who a request comes from, as the proxies tell that whoever runs the server trusts, and nobody else.

Each proxy adds the address that it sees to `X-Forwarded-For`, so the list is read from its end: the first address that
is not of a trusted proxy is the client's, and what stands before it is the client's own word. A range that has every
address says that whoever connects is a proxy, and names none: then the last address in the list is the client's.
"""

from collections.abc import Sequence
from typing import Any

from kvot.core.networks import allows, parse_address
from kvot.http.app import App
from kvot.http.limits import Receive

ADDRESS_LENGTH_MAX = 64
"""More than any address with a port has. What is longer is none, and is not remembered as one."""

_SCHEMES = frozenset({b"http", b"https"})


class Forwarded:
    """An application as trusted proxies speak to it. `trusted`: CIDR ranges that their addresses lie in."""

    def __init__(self, app: App, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._named = tuple(each for each in trusted if not each.endswith("/0"))
        self.early = app.early
        self.health = app.health

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["client"] and allows(self._trusted, scope["client"][0]):
            scope |= self._told(scope["headers"])
        await self._app(scope, receive, send)

    def _told(self, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        """What differs of a scope whose request came by a trusted proxy."""
        differs: dict[str, Any] = {}
        if addresses := b",".join(value for name, value in headers if name == b"x-forwarded-for"):
            client = self._client(addresses.decode("latin-1").split(","))
            differs["client"] = None if client is None else (client, 0)
        schemes = [value.strip().lower() for name, value in headers if name == b"x-forwarded-proto"]
        if schemes and schemes[-1] in _SCHEMES:
            differs["scheme"] = schemes[-1].decode()
        return differs

    def _client(self, addresses: list[str]) -> str | None:
        """None where it cannot be told: then it is in no network that a key may be bound to. What stands before the
        client's address is not looked at: it may be as long as a head, and is of whoever likes to send it."""
        address: str | None = None
        for each in reversed(addresses):
            address = _address_of(each.strip())
            if address is None or not self._named or not allows(self._named, address):
                break
        return address


def _address_of(text: str) -> str | None:
    """Of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; None for anything else."""
    if len(text) > ADDRESS_LENGTH_MAX:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = parse_address(text)
    return None if address is None else str(address)
