"""A provider as the configuration names it: what it speaks, where it is, and our key to it."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, urlsplit

from kvot.gateway.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is the first segment of the paths that lead to it. `base_url` is what the provider's own client would be
    given, without a slash at its end. `needs_key`: without a key, the company's own or ours, nothing is sent.
    `has_own_key`: the key is the company's own, so that no other company's calls are behind it."""

    name: str
    dialect: Dialect
    base_url: str
    api_key: str = field(default="", repr=False)
    needs_key: bool = False
    has_own_key: bool = False

    def url(self, path: str, query: str) -> str:
        """The address of a path behind the prefix. `query` is whole, or empty.

        A version that both the base address and the path have is said once. Where the base address of an API holds its
        version, a client's own is left out, as it need not be the provider's (`/v1beta/openai`).
        """
        address = _address(self.base_url, path, base_has_version=self.dialect.base_has_version)
        return f"{address}?{query}" if query else address


def base_path(name: str, dialect: Dialect, version: str = "") -> str:
    """What the base URL of a client of a provider ends in. `version`: what this client leaves to it besides."""
    return f"/{name}/v1" if dialect.base_has_version else f"/{name}{version}"


@lru_cache(maxsize=1_024)
def _address(base_url: str, path: str, *, base_has_version: bool) -> str:
    """Remembered, since most calls go to a few paths."""
    if match := _OF_AZURE.fullmatch(path):
        root = base_url.removesuffix("/v1").removesuffix("/openai")
        return f"{root}/openai{quote(match[1], safe=_SAFE_IN_PATH)}"
    base_path = urlsplit(base_url).path
    if base_path.endswith("/v1") or (base_path and base_has_version):
        path = path.removeprefix("/v1")
    return f"{base_url}{quote(path, safe=_SAFE_IN_PATH)}"


_OF_AZURE = re.compile(r"(?:/openai|(?=/deployments/))(/.+)")
"""Paths that Azure counts from the root of a resource, whichever of its addresses is the base address. No other dialect
lets them pass."""

_SAFE_IN_PATH = "/:@!$&'()*+,;=~-._%"
