"""The headers of a request, as a mapping from lower-case name to value."""

from collections.abc import Iterable

from kvot.core.errors import InvalidRequest
from kvot.http.limits import Headers

_ONCE = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"idempotency-key",
        b"content-type",
        b"content-length",
        b"x-http-method-override",
    }
)
"""Headers that may come once. Of two, a proxy before us might have believed the other."""


def accept_of(pairs: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The `Accept` of a request whose other headers need not be right."""
    return b",".join(value for name, value in pairs if name == b"accept") or None


def read_headers(pairs: list[tuple[bytes, bytes]]) -> Headers:
    """Repeated headers are joined with a comma, as RFC 9110 has it; those that may not repeat are refused."""
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    joined: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in joined and name in _ONCE:
            raise InvalidRequest(f"The header {name.decode('latin-1')} was sent more than once.")
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined
