"""Pages of other origins: closed unless the host lists the origin, letter by letter.

No credentials header is ever sent: such a page signs its calls itself, and no cookie of ours counts for it.
"""

from kvot.http.limits import Headers
from kvot.http.replies import Pairs, Reply

MAX_AGE_S = 600
"""How long a browser may remember the answer to its preflight: the contract's default."""

_VARY_ORIGIN = (b"vary", b"Origin")
_PREFLIGHT: Pairs = (
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD"),
    (b"access-control-allow-headers", b"Content-Type, Authorization, X-Api-Key, Idempotency-Key"),
    (b"access-control-max-age", b"%d" % MAX_AGE_S),
)
_EXPOSED = (b"access-control-expose-headers", b"Retry-After, X-AutoBatch-Completed, RateLimit, RateLimit-Policy")


class Cors:
    """`origins` as browsers send them: `https://app.example.com`, without a path."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = frozenset(each.encode("ascii") for each in origins)

    @property
    def is_open(self) -> bool:
        return bool(self._origins)

    def headers(self, headers: Headers) -> Pairs:
        """What a reply to this request has on top. A cache must not give one origin's reply to another."""
        if not self._origins:
            return ()
        origin = headers.get(b"origin")
        if origin not in self._origins:
            return (_VARY_ORIGIN,)
        return (b"access-control-allow-origin", origin), _EXPOSED, _VARY_ORIGIN

    def preflight(self, headers: Headers) -> Reply:
        """The answer to every OPTIONS, whatever its path. The common headers come on top."""
        return Reply(200, _PREFLIGHT if headers.get(b"origin") in self._origins else (), b"")
