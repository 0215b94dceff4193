"""The seam for what HTTP answers beside the operations of the contract: sign-in, an index, pages.

A surface is asked only for paths that lead to no operation. It knows its paths and nothing of the others.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from kvot.core.principal import Principal
from kvot.http.limits import Headers
from kvot.http.replies import Reply
from kvot.wire.binding import Fields
from kvot.wire.formats import Format
from kvot.wire.style import Style


class Asked(NamedTuple):
    """One request to a surface. `principal()` proves who is calling and raises NotAuthenticated for nobody;
    `body()` reads within the bounds."""

    scope: Any
    headers: Headers
    query: Fields
    format: Format
    style: Style
    principal: Callable[[], Awaitable[Principal]]
    body: Callable[[], Awaitable[bytes]]


Answer = Callable[[Asked], Awaitable[Reply]]


class Surface(Protocol):
    def find(self, path: str) -> Answer | None: ...
