"""Pages of other origins: closed unless the host lists the origin, letter by letter.

No credentials header is ever sent: such a page signs its calls itself, and no cookie of ours counts for it.
"""

import re

from kvot.http.limits import Headers
from kvot.http.replies import Pairs, Reply
from kvot.http.reply_writer import Pair

MAX_AGE_S = 600
"""How long a browser may remember the answer to its preflight: the contract's default."""

_VARY_ORIGIN = (b"vary", b"Origin")
_PREFLIGHT: Pairs = (
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD"),
    (b"access-control-max-age", b"%d" % MAX_AGE_S),
)
_TAKEN = (b"access-control-allow-headers", b"Content-Type, Authorization, X-Api-Key, Idempotency-Key")
_EXPOSED = (b"access-control-expose-headers", b"Retry-After, X-AutoBatch-Completed, RateLimit, RateLimit-Policy")

_ALL_EXPOSED = (b"access-control-expose-headers", b"*")
"""Each header of a gateway's reply was chosen for the client; which there are is the provider's affair. The asterisk
counts for requests without cookies, and no others are answered."""

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,4096}")
"""Of headers, as a preflight asks for them."""


class Cors:
    """`origins` as browsers send them: `https://app.example.com`, without a path."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = frozenset(each.encode("ascii") for each in origins)

    @property
    def is_open(self) -> bool:
        return bool(self._origins)

    def headers(self, headers: Headers, exposed: Pair = _EXPOSED) -> Pairs:
        """What a reply to this request has on top. A cache must not give one origin's reply to another."""
        if not self._origins:
            return ()
        origin = headers.get(b"origin")
        if origin not in self._origins:
            return (_VARY_ORIGIN,)
        return (b"access-control-allow-origin", origin), exposed, _VARY_ORIGIN

    def preflight(self, headers: Headers) -> Reply:
        """The answer to every OPTIONS, whatever its path. The common headers come on top."""
        return Reply(200, (*_PREFLIGHT, _TAKEN) if headers.get(b"origin") in self._origins else (), b"")

    def gateway_headers(self, headers: Headers) -> Pairs:
        """The same on the paths of the gateway, where every header of a reply may be read."""
        return self.headers(headers, _ALL_EXPOSED)

    def gateway_preflight(self, headers: Headers) -> Reply:
        """The same for the gateway. Each SDK sends headers of its own: those that it asks for are taken; what the API
        does not know goes no further."""
        asked = headers.get(b"access-control-request-headers", b"")
        if headers.get(b"origin") not in self._origins:
            return Reply(200, (), b"")
        taken = ((_TAKEN[0], asked),) if _NAMES.fullmatch(asked) else (_TAKEN,)
        return Reply(200, (*_PREFLIGHT, *taken), b"")
