"""Gemini's API as a dialect: its paths, its credentials, its headers."""

import re
from collections.abc import Mapping

from kvot.gateway.dialect import Ask, Endpoint, Found, Limits, Meter, Pair
from kvot.gateway.metering.framed import FramedMeter
from kvot.gateway.metering.json_array import ElementReader
from kvot.gateway.metering.metered import DocumentMeter, StreamMeter
from kvot.gateway.providers.credentials import key_anywhere, key_at, key_in
from kvot.gateway.providers.gemini import asks, refusals
from kvot.gateway.providers.gemini.meters import Replies, read_reply


def _meter(ask: Ask, content_type: str) -> Meter:
    if content_type.startswith("text/event-stream"):
        return StreamMeter(Replies(ask.answers), takes_out=False)
    return DocumentMeter(read_reply, "usageMetadata")


def _array_meter(ask: Ask, content_type: str) -> Meter:
    if content_type.startswith("text/event-stream"):
        return _meter(ask, content_type)
    return FramedMeter(ElementReader(), Replies(ask.answers))


def _events_meter(ask: Ask, content_type: str) -> Meter:
    """A reply that is no stream is an error, or its only piece."""
    return _meter(ask, content_type or "text/event-stream")


def _embedding_meter(_ask: Ask, _content_type: str) -> Meter:
    return DocumentMeter(read_reply, "usageMetadata", has_output=False)


_EVENTS = Endpoint("stream_generate_content", asks.read_stream, _events_meter)
_ARRAY = Endpoint("stream_generate_content", asks.read_stream, _array_meter, has_array=True)
_ACTIONS = {
    "generateContent": Endpoint("generate_content", asks.read_generate, _meter),
    "embedContent": Endpoint("embed_content", asks.read_embed, _embedding_meter),
    "batchEmbedContents": Endpoint("batch_embed_contents", asks.read_embeds, _embedding_meter),
    "countTokens": Endpoint("count_tokens"),
}
_MODELS = Endpoint("models")
"""Whatever is not here is not passed on: batches and tuning would use tokens that no hold covers."""

_MODEL = r"(?P<model>[A-Za-z0-9][A-Za-z0-9._-]{0,255})"
_ACTION_PATH = re.compile(rf"/(?:v1|v1beta)/models/{_MODEL}:(?P<action>[A-Za-z]+)")
_MODELS_PATH = re.compile(rf"/(?:v1|v1beta)/models(?:/{_MODEL})?")

_FORMS = frozenset({"", "json", "sse"})
"""Of `alt`. A reply in another form (`proto`, `media`) could not be metered."""

_REQUEST_HEADERS = frozenset({b"accept", b"content-type", b"user-agent", b"x-goog-api-client", b"x-server-timeout"})
_QUERY = frozenset({"alt", "pageSize", "pageToken", "page_size", "page_token", "prettyPrint"})
_REPLY_HEADERS = frozenset({b"content-type", b"retry-after", b"server-timing"})


class Gemini:
    name = "gemini"
    base_has_version = False
    request_id: bytes | None = None
    deciding_query: frozenset[str] = frozenset({"alt"})
    exhausted = staticmethod(refusals.exhausted)
    failed = staticmethod(refusals.failed)
    refuses_key = staticmethod(refusals.refuses_key)

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        form = query.get("alt", "")
        if form not in _FORMS:
            return None
        if verb == "GET":
            found = _MODELS_PATH.fullmatch(path)
            return Found(_MODELS, {}) if found else None
        match = _ACTION_PATH.fullmatch(path) if verb == "POST" else None
        if match is None:
            return None
        endpoint = _ACTIONS.get(match["action"])
        if match["action"] == "streamGenerateContent":
            endpoint = _EVENTS if form == "sse" else _ARRAY
        return Found(endpoint, {"model": match["model"]}) if endpoint else None

    def credential(self, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> str | None:
        return key_at(headers, b"x-goog-api-key") or key_in(query, "key") or key_anywhere(headers)

    def authorization(self, api_key: str) -> tuple[Pair, ...]:
        """In a header, wherever the client had its key: a query is written into logs."""
        return ((b"x-goog-api-key", api_key.encode()),) if api_key else ()

    def passes_request_header(self, name: bytes) -> bool:
        return name in _REQUEST_HEADERS

    def passes_query(self, name: str) -> bool:
        """Not `key`, which is Kvot's own; and not `fields`, which could take the usage out of a reply."""
        return name in _QUERY

    def passes_reply_header(self, name: bytes) -> bool:
        return name in _REPLY_HEADERS or name.startswith(b"x-gemini-")

    def limit_headers(self, limits: Limits) -> tuple[Pair, ...]:
        """Google's APIs have none."""
        return ()
