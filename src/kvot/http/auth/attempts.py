"""How often somebody may fail to say who they are. Constant memory, however many try.

Failures are counted per peer address and per key id, in arrays of a fixed size: two names may share a slot, which
costs them nothing but an earlier 429. A credential that proves right always passes, also from an address or for a key
id that is over its limit; so nobody can lock a company out by failing in its stead, or from its address. What a
failure over the limit gets is 429 with the wait in place of 401. Only failures to prove anything count: a token that
was ours once (expired, say) does not, since its holder needs the 401 to fetch a new one.

There is no dear work to skip for those who are over: proving costs tens of microseconds, and fetching a signer's keys
is bounded by itself (`kvot.http.auth.jwks`), whoever asks.
"""

import hashlib
from array import array
from ipaddress import IPv6Address

from kvot.core.networks import parse_address

SLOTS = 16_384
"""128 KB for each of the two arrays; a thousand attackers at once meet a given name's slot with a chance of 6 %."""

BURST = 20
"""Failures in a row before the limit: a person who mistypes, a client that starts with a stale key."""

INTERVAL_MS = 3_000
"""One more failure per three seconds after that: 20 a minute tell an operator enough."""


class Attempts:
    """Failures by name, each forgotten after `INTERVAL_MS`. `seed` keeps outsiders from choosing whose slot they hit.

    A slot holds the instant at which its last failure will be forgotten: the generic cell rate algorithm.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._clear_at_ms = array("q", bytes(8 * SLOTS))

    def fail(self, name: str, now_ms: int) -> int:
        """Count one failure. 0 within the limit; otherwise milliseconds until the next one would be."""
        slot = self._slot(name)
        clear_at_ms = max(self._clear_at_ms[slot], now_ms)
        over_ms = clear_at_ms - now_ms - (BURST - 1) * INTERVAL_MS
        if over_ms > 0:
            return over_ms
        self._clear_at_ms[slot] = clear_at_ms + INTERVAL_MS
        return 0

    def _slot(self, name: str) -> int:
        digest = hashlib.blake2b(name.encode(), key=self._seed, digest_size=8).digest()
        return int.from_bytes(digest) % SLOTS


def peer_name(peer: str | None) -> str:
    """The name under which a peer's failures are counted: an IPv4 address, or the /64 that one IPv6 site commands."""
    address = parse_address(peer) if peer else None
    if isinstance(address, IPv6Address):
        return f"{int(address) >> 64:x}/64"
    return str(address or peer or "")
