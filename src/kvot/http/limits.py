"""Bounds of what a client may send, each with its reason, and reading a body within them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kvot.core.errors import InvalidRequest, RequestTooLarge

Receive = Callable[[], Awaitable[Any]]
Headers = Mapping[bytes, bytes]

HEAD_BYTES_MAX = 32_768
"""Request line and headers. A token has at most 8 KB; cookies of a shared domain come on top."""

IDEMPOTENCY_KEY_LENGTH_MAX = 255
"""As long as an id in the ledger may be."""

_VISIBLE = frozenset(range(0x21, 0x7F))


@dataclass(frozen=True, slots=True)
class Limits:
    max_body_bytes: int = 1_048_576
    """One import of some 5,000 events. What is larger comes in batches."""


class ClientGone(Exception):
    """The client left before its request was whole. There is nobody to answer."""


def has_body(headers: Headers) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def read_body(receive: Receive, headers: Headers, limits: Limits) -> bytes:
    """The whole body, or RequestTooLarge before more than the bound was taken. Raises ClientGone."""
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidRequest("Compressed bodies are not accepted: send it without Content-Encoding.")
    if int(headers.get(b"content-length", b"0")) > limits.max_body_bytes:  # digits: the parser saw to that
        raise _too_large(limits)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message["body"]
        if len(body) > limits.max_body_bytes:
            raise _too_large(limits)
        return body
    return await _read_parts(message, receive, limits)


async def _read_parts(message: Any, receive: Receive, limits: Limits) -> bytes:
    parts = bytearray()
    while True:
        if message["type"] != "http.request":
            raise ClientGone
        parts += message.get("body", b"")
        if len(parts) > limits.max_body_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()


def idempotency_key(headers: Headers) -> str | None:
    """The `Idempotency-Key` of a request, if it has one: 1 to 255 visible ASCII characters."""
    value = headers.get(b"idempotency-key")
    if value is None:
        return None
    if not 1 <= len(value) <= IDEMPOTENCY_KEY_LENGTH_MAX or not _VISIBLE.issuperset(value):
        longest = IDEMPOTENCY_KEY_LENGTH_MAX
        raise InvalidRequest(f"The header Idempotency-Key must be 1 to {longest} visible ASCII characters.")
    return value.decode("ascii")


def _too_large(limits: Limits) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {limits.max_body_bytes} bytes.")
