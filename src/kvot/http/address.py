"""What the caller calls this server: for links and samples that have to name it.

The `Host` header is the caller's own word, so it is believed only where it could be a host and nothing else. The
scheme is what the server has, or what a proxy says that it trusts: anyone may send `X-Forwarded-Proto`.
"""

import re
from typing import Any

from kvot.http.limits import Headers

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""A DNS name has at most 253 characters, an IPv6 address 45."""


def host_of(scope: Any, headers: Headers) -> str:
    """`host` or `host:port`: as the caller has it, or else the address that we listen on."""
    named = headers.get(b"host", b"").decode("latin-1")
    return named if _HOST.fullmatch(named) else _listening(scope)


def base_url_of(scope: Any, headers: Headers) -> str:
    """`http://host:port`, without a slash at its end."""
    return f"{scope.get('scheme', 'http')}://{host_of(scope, headers)}"


def _listening(scope: Any) -> str:
    name, port = scope.get("server") or ("localhost", None)
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name
