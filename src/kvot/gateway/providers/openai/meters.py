"""Meters of OpenAI's replies: documents and streams of Chat Completions, Responses, embeddings, the old completions.

Any reply may be hostile or cut. What cannot be read passes as it is, and its bytes count as output for the estimate.
"""

from typing import Any

import msgspec

from kvot.gateway.metering.in_errors import generated_bytes
from kvot.gateway.metering.metered import JSON_FAULTS, Reading, name_or_none, text_bytes
from kvot.gateway.metering.sse import Event
from kvot.gateway.providers.openai.compatible import Compatible
from kvot.gateway.providers.openai.media import gather_content
from kvot.gateway.providers.openai.told import told_of
from kvot.gateway.providers.openai.usage import chat_usage, embedding_usage, response_usage
from kvot.gateway.providers.sizes import Gathered
from kvot.gateway.receipt import Told, kept, word
from kvot.gateway.tokens import Reported

_DONE = b"[DONE]"


class _Choice(msgspec.Struct):
    delta: Any = None
    message: Any = None
    text: Any = None
    finish_reason: Any = None


class _Chat(msgspec.Struct):
    """A chunk of a stream or a whole reply: what we read of it. Of all else only the form is looked at."""

    id: Any = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    service_tier: Any = None

    @property
    def reported_usage(self) -> Any:
        return self.x_groq.get("usage") if self.usage is None and isinstance(self.x_groq, dict) else self.usage

    @property
    def output_bytes(self) -> int:
        total = 0
        for choice in self.choices or ():
            for part in (choice.delta, choice.message, choice.text):
                if part is not None:
                    total += _content_bytes(part)
        return total if self.error is None else total + generated_bytes(self.error)


def _content_bytes(message: object) -> int:
    """All text of a message or a delta but its role: content, reasoning, refusals, tool calls with their names."""
    if type(message) is not dict:
        return text_bytes(message)
    total = 0
    for name, value in message.items():
        if name == "audio":
            total += _audio_bytes(value)
        elif name not in _NOT_GENERATED and value is not None:
            total += text_bytes(value)
    return total


_NOT_GENERATED = frozenset({"role", "annotations"})

_BASE64_PER_TEXT_BYTE = 800
"""A second of sound is 64,000 characters of base64 (24,000 samples of 16 bits), some 20 tokens, as 80 bytes of text."""


def _audio_bytes(audio: object) -> int:
    data = audio.get("data") if isinstance(audio, dict) else audio
    return -(-text_bytes(data) // _BASE64_PER_TEXT_BYTE)


_decode_chat = msgspec.json.Decoder(_Chat).decode


def read_chat(document: bytes, provider: Compatible) -> Reading:
    chat = _decode_chat(document)
    usage, finish = chat.reported_usage, chat.choices[0].finish_reason if chat.choices else None
    return Reading(
        chat_usage(usage, provider, is_final=True),
        chat.output_bytes,
        chat.error is not None,
        name_or_none(chat.model),
        name_or_none(chat.id),
        told_of(kept(usage, len(document)), word(chat.service_tier), word(finish)),
    )


class ChatEvents:
    """A stream of Chat Completions or of the old completions.

    takes_out_usage: we asked for the usage, and the client did not: it shall not see the chunk with nothing else in it.
    is_one: the stream has one answer, whose end is the stream's.
    """

    def __init__(self, provider: Compatible, *, takes_out_usage: bool, is_one: bool) -> None:
        self._provider = provider
        self._takes_out_usage = takes_out_usage
        self._is_one = is_one
        self._usage: Any = None
        self._is_spoilt = False  # by last figures that cannot be true
        self._service_tier: str | None = None
        self._finish: str | None = None
        self.reported: Reported | None = None
        self.output_bytes = 0
        self.has_failed = False
        self.is_over = False
        self.model: str | None = None
        self.request_id: str | None = None

    def read(self, event: Event) -> bool:
        data = event.data
        if data is None:
            self.output_bytes += 0 if event.is_read else len(event.raw)
            return False
        if data == _DONE:
            self._end()
            return False
        try:
            chunk = _decode_chat(data)
        except JSON_FAULTS:
            self.output_bytes += len(data)
            return False
        return self._take(chunk, len(data))

    def _take(self, chunk: _Chat, event_bytes: int) -> bool:
        if self.request_id is None:
            self.model, self.request_id = name_or_none(chunk.model), name_or_none(chunk.id)
            self._service_tier = word(chunk.service_tier)
        if chunk.choices or chunk.error is not None:
            self.output_bytes += chunk.output_bytes
            for choice in chunk.choices or ():
                if choice.finish_reason is not None:
                    self._finish = word(choice.finish_reason)
        if chunk.usage is None and chunk.error is None and chunk.x_groq is None:
            return False
        return self._take_figures(chunk, event_bytes)

    def _take_figures(self, chunk: _Chat, event_bytes: int) -> bool:
        self.has_failed = self.has_failed or chunk.error is not None
        usage = chunk.reported_usage
        if usage is None:
            return False
        self._usage, self._service_tier = kept(usage, event_bytes), word(chunk.service_tier) or self._service_tier
        reported = chat_usage(usage, self._provider, is_final=self._is_last(chunk))
        self._is_spoilt = reported is None and self.reported is not None
        if reported is None and self.reported is not None:  # they were true so far
            reported = self.reported._replace(is_final=False)
        self.reported = reported
        return self._takes_out_usage and not chunk.choices and chunk.error is None

    def _is_last(self, chunk: _Chat) -> bool:
        """Some send growing figures with every chunk: final are those without content, or with the answer's end."""
        if not chunk.choices:
            return True
        return self._is_one and any(choice.finish_reason is not None for choice in chunk.choices)

    def _end(self) -> None:
        if self.reported is not None:
            self.reported = self.reported._replace(is_final=not self._is_spoilt)
            self.is_over = True

    @property
    def told(self) -> Told:
        return told_of(self._usage, self._service_tier, self._finish)


class _Response(msgspec.Struct):
    id: Any = None
    model: Any = None
    status: Any = None
    usage: Any = None
    tool_usage: Any = None
    error: Any = None
    output: Any = None
    service_tier: Any = None
    incomplete_details: Any = None

    def told(self, event_bytes: int) -> Told:
        """event_bytes: of what it came in."""
        details = self.incomplete_details
        finish = details.get("reason") if isinstance(details, dict) else None
        usage, tool_usage = kept(self.usage, event_bytes), kept(self.tool_usage, event_bytes)
        return told_of(usage, word(self.service_tier), word(finish) or word(self.status), tool_usage)


class _ResponseEvent(msgspec.Struct):
    type: Any = None
    delta: Any = None
    error: Any = None
    message: Any = None
    response: msgspec.Raw = msgspec.Raw()  # absent: of no bytes


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_response_event = msgspec.json.Decoder(_ResponseEvent).decode

_ENDED = ("response.completed", "response.incomplete", "response.failed")
_BEGUN_OR_ENDED = ("response.created", *_ENDED)
"""Those that hold a whole response. A tuple, as what stands in `type` may be anything, also what cannot be in a set."""


def read_response(document: bytes) -> Reading:
    response = _decode_response(document)
    generated = Gathered()
    gather_content(generated, response.output)
    return Reading(
        response_usage(response.usage, response.tool_usage),
        generated.size.text_bytes + generated_bytes(response.error),
        response.error is not None or response.status == "failed",
        name_or_none(response.model),
        name_or_none(response.id),
        response.told(len(document)),
    )


class ResponseEvents:
    """A stream of Responses: named events, whose usage comes with the one that ends it."""

    def __init__(self) -> None:
        self.reported: Reported | None = None
        self.output_bytes = 0
        self.has_failed = False
        self.is_over = False
        self.model: str | None = None
        self.request_id: str | None = None
        self.told = Told()

    def read(self, event: Event) -> bool:
        """Nothing is ever taken out."""
        if event.data is None:
            self.output_bytes += 0 if event.is_read else len(event.raw)
        elif event.data != _DONE:
            self._read(event.data)
        return False

    def _read(self, data: bytes) -> None:
        try:
            event = _decode_response_event(data)
            if event.type == "error":
                self.has_failed = True
                self.output_bytes += generated_bytes([event.error, event.message])
            elif event.type in _BEGUN_OR_ENDED:
                self._take(event.type, _decode_response(event.response), len(data))
            elif event.type == "response.audio.delta":
                self.output_bytes += _audio_bytes(event.delta)
            elif event.delta is not None:
                self.output_bytes += text_bytes(event.delta)
        except JSON_FAULTS:
            self.output_bytes += len(data)

    def _take(self, kind: str, response: _Response, event_bytes: int) -> None:
        if self.request_id is None:
            self.model, self.request_id = name_or_none(response.model), name_or_none(response.id)
        if kind in _ENDED:
            self.reported = response_usage(response.usage, response.tool_usage)
            self.is_over = self.reported is not None
            self.told = response.told(event_bytes)
            self.has_failed = self.has_failed or kind == "response.failed" or response.error is not None
            self.output_bytes += generated_bytes(response.error)


class _Embeddings(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None
    error: Any = None


_decode_embeddings = msgspec.json.Decoder(_Embeddings).decode


def read_embeddings(document: bytes) -> Reading:
    """Embeddings are no output: an estimate is of the input alone."""
    reply = _decode_embeddings(document)
    return Reading(
        embedding_usage(reply.usage),
        0,
        reply.error is not None,
        name_or_none(reply.model),
        name_or_none(reply.id),
        told_of(kept(reply.usage, len(document))),
    )
