"""Ollama's own API as a dialect: its paths, its credentials, its headers. It speaks OpenAI's as well, under /v1."""

from collections.abc import Mapping

from kvot.gateway.dialect import Ask, Endpoint, Found, Limits, Meter, Pair
from kvot.gateway.metering.framed import FramedMeter
from kvot.gateway.metering.metered import DocumentMeter
from kvot.gateway.metering.ndjson import LineReader
from kvot.gateway.providers.credentials import key_anywhere
from kvot.gateway.providers.ollama import asks, refusals
from kvot.gateway.providers.ollama.meters import Lines, read_reply
from kvot.gateway.providers.refusals import refuses_key

_LAST_FIGURES = "prompt_eval_count"
"""The members of a reply beside its content come last, and this first of them."""


def _meter(ask: Ask, content_type: str) -> Meter:
    if ask.is_stream or "ndjson" in content_type:
        return FramedMeter(LineReader(), Lines())
    return DocumentMeter(read_reply, _LAST_FIGURES)


def _embedding_meter(_ask: Ask, _content_type: str) -> Meter:
    return DocumentMeter(read_reply, _LAST_FIGURES, has_output=False)


_ENDPOINTS = {
    ("POST", "/api/chat"): Endpoint("chat", asks.read_chat, _meter),
    ("POST", "/api/generate"): Endpoint("generate", asks.read_generate, _meter),
    ("POST", "/api/embed"): Endpoint("embed", asks.read_embed, _embedding_meter),
    ("POST", "/api/embeddings"): Endpoint("embeddings", asks.read_embed, _embedding_meter),
    ("GET", "/api/tags"): Endpoint("tags"),
    ("GET", "/api/version"): Endpoint("version"),
    ("POST", "/api/show"): Endpoint("show"),
}
"""Whatever is not here is not passed on: pulling, pushing, creating and deleting models is not for every company."""

_REQUEST_HEADERS = frozenset({b"accept", b"content-type", b"user-agent"})
_REPLY_HEADERS = frozenset({b"content-type", b"retry-after"})


class Ollama:
    name = "ollama"
    base_has_version = False
    request_id: bytes | None = b"x-request-id"
    deciding_query: frozenset[str] = frozenset()
    exhausted = staticmethod(refusals.exhausted)
    failed = staticmethod(refusals.failed)
    refuses_key = staticmethod(refuses_key)

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        endpoint = _ENDPOINTS.get((verb, path))
        return Found(endpoint, {}) if endpoint else None

    def credential(self, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> str | None:
        """Its official clients send a bearer token: Python's from OLLAMA_API_KEY, JavaScript's as it is told."""
        return key_anywhere(headers)

    def authorization(self, api_key: str) -> tuple[Pair, ...]:
        """Ollama itself asks for none; the cloud of its makers, or a proxy before it, does."""
        return ((b"authorization", f"Bearer {api_key}".encode()),) if api_key else ()

    def passes_request_header(self, name: bytes) -> bool:
        return name in _REQUEST_HEADERS

    def passes_query(self, name: str) -> bool:
        """The API has none."""
        return False

    def passes_reply_header(self, name: bytes) -> bool:
        return name in _REPLY_HEADERS

    def limit_headers(self, limits: Limits) -> tuple[Pair, ...]:
        """It has none."""
        return ()
