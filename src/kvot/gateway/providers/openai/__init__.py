"""OpenAI's API, and those that follow it: which paths pass, who is calling, which headers go on.

A path that is not named here does not pass: what may generate, and is not metered, would go round every budget.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from kvot.gateway.dialect import Ask, Endpoint, Found, Meter, Pair, UsageOption
from kvot.gateway.metering.metered import DocumentMeter, StreamMeter
from kvot.gateway.providers.credentials import key_anywhere
from kvot.gateway.providers.openai import asks, meters, refusals
from kvot.gateway.providers.openai.compatible import COMPATIBLES, Compatible
from kvot.gateway.providers.openai.stored import REPLY_ID, stored_in_path, stored_in_response
from kvot.gateway.providers.refusals import KEY_REFUSED

_RESPONSE = rf"/responses/(?P<{REPLY_ID}>[A-Za-z0-9_-]{{1,256}})"
_MODEL = r"[A-Za-z0-9_-](?:[A-Za-z0-9_:@.-]|/(?!\.)|%2[Ff](?!\.)|%3[Aa]){0,255}"

_INVALID, _FORBIDDEN = 400, 403

# What passes without a hold, as it makes nothing, or gives what was made and charged before.
_PLAIN = [
    ("GET", "/models", Endpoint("models")),
    ("GET", f"/models/{_MODEL}", Endpoint("model")),
    ("POST", "/responses/input_tokens", Endpoint("input_tokens", stored=stored_in_response)),
    ("GET", _RESPONSE, Endpoint("response", stored=stored_in_path)),
    ("GET", f"{_RESPONSE}/input_items", Endpoint("response_input_items", stored=stored_in_path)),
    ("DELETE", _RESPONSE, Endpoint("response_delete", stored=stored_in_path)),
    ("POST", f"{_RESPONSE}/cancel", Endpoint("response_cancel", stored=stored_in_path)),
]
_PLAIN_PATHS = [(verb, re.compile(path), endpoint) for verb, path, endpoint in _PLAIN]

_REQUEST_HEADERS = frozenset(
    {b"accept", b"content-type", b"user-agent", b"openai-beta", b"idempotency-key", b"x-client-request-id"}
)
_REQUEST_HEADER_FAMILIES = (b"x-stainless-",)
_QUERY = frozenset(
    {"after", "api-version", "before", "include", "include_obfuscation", "limit", "order", "starting_after", "stream"}
)

_REPLY_HEADERS = frozenset(
    {
        # What the official clients read: how to parse, when to repeat, what to name to support.
        b"content-type", b"retry-after", b"retry-after-ms", b"x-should-retry", b"x-request-id",
        # What OpenAI documents beside it, and by what others find a call again or tell where its time went.
        b"openai-model", b"openai-processing-ms", b"openai-version",
        b"apim-request-id",  # Azure
        b"mistral-correlation-id",
        b"x-ds-trace-id",  # DeepSeek
        b"x-generation-id",  # OpenRouter
        b"fireworks-prompt-tokens", b"fireworks-cached-prompt-tokens", b"fireworks-server-time-to-first-token",
        b"fireworks-server-processing-time",
    }
)  # fmt: skip
"""Of a reply, with the family below. All else stays here, as whoever runs a compatible server, or a proxy before it,
may say anything: its account (`x-org-id`), its host and region (`server`, `via`, `cf-ray`, `x-ms-region`, `x-envoy-…`),
or what a browser or the server before us would obey (`set-cookie`, `link`, `cache-control`, `x-accel-redirect`)."""

_REPLY_HEADER_FAMILIES = (b"x-ratelimit-",)
"""Every server has limits of its own beside OpenAI's: by the minute, by the day, of a model."""


def _own(ask: Ask) -> asks.OpenAiAsk:
    assert isinstance(ask, asks.OpenAiAsk)  # a meter is only made for an ask of its own endpoint
    return ask


def _is_events(ask: Ask, content_type: str) -> bool:
    """By what the reply says that it is; where it says nothing, by what was asked for."""
    return content_type.startswith("text/event-stream") or (not content_type and ask.is_stream)


def _chat_meter(ask: Ask, content_type: str, provider: Compatible) -> Meter:
    own = _own(ask)
    if not _is_events(ask, content_type):
        return DocumentMeter(partial(meters.read_chat, provider=provider), "usage")
    events = meters.ChatEvents(provider, takes_out_usage=own.adds_usage, is_one=own.answers == 1)
    return StreamMeter(events, takes_out=own.adds_usage)


def _untold(ask: Ask) -> Ask | None:
    own = _own(ask)
    return replace(own, adds_usage=False) if own.adds_usage else None


_USAGE_OPTION = UsageOption("stream_options", _untold)
_USAGE_OPTIONS = {"by_model": _USAGE_OPTION, "by_request": _USAGE_OPTION._replace(is_of_model=False), "never": None}


def _stores_response(ask: Ask) -> bool:
    """Unless the request says otherwise."""
    return _own(ask).document.members.get("store") is not False


def _response_meter(ask: Ask, content_type: str) -> Meter:
    if not _is_events(ask, content_type):
        return DocumentMeter(meters.read_response, "usage", "tool_usage")
    return StreamMeter(meters.ResponseEvents(), takes_out=False)


def _embeddings_meter(_ask: Ask, _content_type: str) -> Meter:
    return DocumentMeter(meters.read_embeddings, "usage", has_output=False)


def _metered(provider: Compatible) -> dict[str, Endpoint]:
    chat_meter = partial(_chat_meter, provider=provider)
    usage_option = _USAGE_OPTIONS[provider.include_usage_refused]
    return {
        "/chat/completions": Endpoint(
            "chat", partial(asks.read_chat, provider=provider), chat_meter, usage_option=usage_option
        ),
        "/responses": Endpoint(
            "responses", partial(asks.read_response, provider=provider), _response_meter, stores=_stores_response
        ),
        "/embeddings": Endpoint("embeddings", partial(asks.read_embeddings, provider=provider), _embeddings_meter),
        "/completions": Endpoint(
            "completions", partial(asks.read_completion, provider=provider), chat_meter, usage_option=usage_option
        ),
    }


class OpenAi:
    """OpenAI's dialect, as one provider speaks it."""

    base_has_version = True
    request_id: bytes | None = b"x-request-id"
    deciding_query = frozenset({"api-version"})  # Azure's

    def __init__(self, provider: Compatible) -> None:
        self.name = provider.name
        self._key_header = provider.key_header
        self._endpoints = _metered(provider)
        self._key_refused = KEY_REFUSED - {_FORBIDDEN} if provider.forbids_content else KEY_REFUSED
        self._wrong_key = provider.wrong_key

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        """With `/v1` in front or without: some base URLs end in it, and some clients add it."""
        path = path.removeprefix("/v1") if path.startswith("/v1/") else path
        if verb == "POST" and path in self._endpoints:
            return Found(self._endpoints[path], {})
        for plain_verb, pattern, endpoint in _PLAIN_PATHS:
            if verb == plain_verb and (match := pattern.fullmatch(path)):
                return Found(endpoint, match.groupdict())
        return None

    def credential(self, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> str | None:
        return key_anywhere(headers)

    def authorization(self, api_key: str) -> tuple[Pair, ...]:
        if not api_key:
            return ()
        scheme = "Bearer " if self._key_header == b"authorization" else ""
        return ((self._key_header, f"{scheme}{api_key}".encode()),)

    def passes_request_header(self, name: bytes) -> bool:
        return name in _REQUEST_HEADERS or name.startswith(_REQUEST_HEADER_FAMILIES)

    def passes_query(self, name: str) -> bool:
        return name in _QUERY

    def passes_reply_header(self, name: bytes) -> bool:
        return name in _REPLY_HEADERS or name.startswith(_REPLY_HEADER_FAMILIES)

    def refuses_key(self, status: int, body: bytes) -> bool:
        if status in self._key_refused:
            return True
        return status == _INVALID and self._wrong_key is not None and bool(self._wrong_key.search(body))

    exhausted = staticmethod(refusals.exhausted)
    failed = staticmethod(refusals.failed)
    limit_headers = staticmethod(refusals.limit_headers)


_DEPLOYMENT_PATH = re.compile(rf"/deployments/(?P<{asks.DEPLOYMENT}>[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,63}})(?P<path>/.+)")
_DEPLOYED = ("/chat/completions", "/completions", "/embeddings")


class Azure(OpenAi):
    """OpenAI's dialect as Azure speaks it: below `/openai` too, and in the form that names the model in the path."""

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        path = path.removeprefix("/openai") if path.startswith("/openai/") else path
        match = _DEPLOYMENT_PATH.fullmatch(path)
        if match is None:
            return super().find(verb, path, query)
        if verb != "POST" or match["path"] not in _DEPLOYED:
            return None
        variables = {asks.DEPLOYMENT: match[asks.DEPLOYMENT]}
        if version := query.get("api-version"):
            variables[asks.API_VERSION] = version
        return Found(self._endpoints[match["path"]], variables)


DIALECTS = {provider.name: (Azure if provider.name == "azure" else OpenAi)(provider) for provider in COMPATIBLES}
