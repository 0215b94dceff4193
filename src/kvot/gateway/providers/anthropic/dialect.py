"""Anthropic's Messages API as a dialect: its paths, its credentials, its headers."""

import re
from collections.abc import Mapping

from kvot.gateway.dialect import Ask, Endpoint, Found, Meter, Pair
from kvot.gateway.metering.metered import DocumentMeter, StreamMeter
from kvot.gateway.providers.anthropic import refusals
from kvot.gateway.providers.anthropic.asks import read_messages
from kvot.gateway.providers.anthropic.meters import MessageEvents, read_message
from kvot.gateway.providers.anthropic.stored import stored_in_messages
from kvot.gateway.providers.credentials import key_anywhere, key_at
from kvot.gateway.providers.refusals import refuses_key


def _messages_meter(ask: Ask, content_type: str) -> Meter:
    """By what the reply says that it is; where it says nothing, by what was asked for."""
    if content_type.startswith("text/event-stream") or (not content_type and ask.is_stream):
        return StreamMeter(MessageEvents(), takes_out=False)
    return DocumentMeter(read_message, "usage")


_ENDPOINTS = {
    ("POST", "/v1/messages"): Endpoint("messages", read_messages, _messages_meter),
    ("POST", "/v1/messages/count_tokens"): Endpoint("count_tokens", stored=stored_in_messages),
    ("GET", "/v1/models"): Endpoint("models"),
}
"""Whatever is not here is not passed on: batches would use tokens that no hold covers."""

_MODEL_PATH = re.compile(r"/v1/models/(?P<model>[A-Za-z0-9][A-Za-z0-9._:@-]{0,255})")

_REQUEST_HEADERS = frozenset(
    {b"accept", b"content-type", b"user-agent", b"idempotency-key", b"anthropic-version", b"anthropic-beta"}
)
_QUERY = frozenset({"beta", "limit", "after_id", "before_id"})
_REPLY_HEADERS = frozenset({b"content-type", b"request-id", b"retry-after", b"retry-after-ms", b"x-should-retry"})


class Anthropic:
    name = "anthropic"
    base_has_version = False
    request_id: bytes | None = b"request-id"
    deciding_query: frozenset[str] = frozenset()
    exhausted = staticmethod(refusals.exhausted)
    failed = staticmethod(refusals.failed)
    refuses_key = staticmethod(refuses_key)
    limit_headers = staticmethod(refusals.limit_headers)

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        endpoint = _ENDPOINTS.get((verb, path))
        if endpoint is not None:
            return Found(endpoint, {})
        match = _MODEL_PATH.fullmatch(path) if verb == "GET" else None
        return Found(_ENDPOINTS["GET", "/v1/models"], match.groupdict()) if match else None

    def credential(self, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> str | None:
        """The official client sends a bearer token since its version 2, and sent `x-api-key` before."""
        return key_at(headers, b"x-api-key") or key_anywhere(headers)

    def authorization(self, api_key: str) -> tuple[Pair, ...]:
        return ((b"x-api-key", api_key.encode()),) if api_key else ()

    def passes_request_header(self, name: bytes) -> bool:
        return name in _REQUEST_HEADERS or name.startswith(b"x-stainless-")

    def passes_query(self, name: str) -> bool:
        return name in _QUERY

    def passes_reply_header(self, name: bytes) -> bool:
        """Of the provider's own family all but ids: they are of its organisations and workspaces."""
        return name in _REPLY_HEADERS or (name.startswith(b"anthropic-") and not name.endswith(b"-id"))
