"""The seam to whoever knows credentials."""

from typing import Any, Protocol

from kvot.core.principal import Principal


class Authenticator(Protocol):
    async def principal(self, authorization: bytes | None, api_key: bytes | None, peer: str | None) -> Principal | None:
        """Who is calling; None for an anonymous caller. `peer` is the address of the connection itself.

        Raises NotAuthenticated, TokenRejected or TooManyRequests for a credential that is refused, and
        StoreUnavailable when it could not be looked up.
        """
        ...


async def principal_by(authenticator: Authenticator, credential: str | None, scope: Any) -> Principal | None:
    """The same of a credential that stood wherever clients of some API put one; None: it stood nowhere."""
    client = scope["client"]
    bearer = None if credential is None else b"Bearer " + credential.encode("latin-1", "replace")
    return await authenticator.principal(bearer, None, client[0] if client else None)
