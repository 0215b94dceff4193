"""The seam to whoever knows credentials."""

from typing import Protocol

from kvot.core.principal import Principal


class Authenticator(Protocol):
    async def principal(self, authorization: bytes | None, api_key: bytes | None, peer: str | None) -> Principal | None:
        """Who is calling; None for an anonymous caller. `peer` is the address of the connection itself.

        Raises NotAuthenticated, TokenRejected or TooManyRequests for a credential that is refused, and
        StoreUnavailable when it could not be looked up.
        """
        ...
