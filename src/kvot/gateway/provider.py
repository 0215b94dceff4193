"""A provider as the configuration names it: what it speaks, where it is, and our key to it."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from kvot.gateway.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is the first segment of the paths that lead to it. `base_url` is what the provider's own client would be
    given, without a slash at its end. `needs_key`: without a key, the company's own or ours, nothing is sent."""

    name: str
    dialect: Dialect
    base_url: str
    api_key: str = field(default="", repr=False)
    needs_key: bool = False

    def url(self, path: str, query: str) -> str:
        """The address of a path behind the prefix. `query` is whole, or empty.

        The version that a client puts before its paths is left out where the base address ends in a path of its own:
        that has the provider's version, which need not be the client's.
        """
        base = self.base_url
        if self.dialect.name == "openai" and urlsplit(base).path.strip("/"):
            path = path.removeprefix("/v1")
        return f"{base}{quote(path, safe=_SAFE_IN_PATH)}{'?' if query else ''}{query}"


_SAFE_IN_PATH = "/:@!$&'()*+,;=~-._%"
