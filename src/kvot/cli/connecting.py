"""A client for a server. What stands in its way before anything is sent is told in one line, and by its name."""

import os
from typing import TYPE_CHECKING

from kvot.core.errors import InvalidRequest

if TYPE_CHECKING:
    from kvot.client.sync import Client


def connect(url: str, api_key: str | None) -> "Client":
    """Raises InvalidRequest where the address, or what the environment says of proxies and certificates, is of no
    use. Of a file of certificates the client knows no name: the TLS library reads it by itself."""
    from kvot.client.sync import Client

    try:
        return Client(url, api_key)
    except InvalidRequest as error:
        if isinstance(error.__cause__, OSError):
            message = f"The certificates of {_certificates()} cannot be read: {error.__cause__.strerror}."
            raise InvalidRequest(message) from None
        raise


def _certificates() -> str:
    path = os.environ.get("SSL_CERT_FILE")
    return f"SSL_CERT_FILE, {path}," if path else "this machine"
