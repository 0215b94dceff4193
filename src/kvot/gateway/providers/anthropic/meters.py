"""Meters of Anthropic's replies: a message whole, or as a stream of events.

Any reply may be hostile or cut. What cannot be read passes as it is, and its bytes count as output for the estimate.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kvot.gateway.metering.in_errors import generated_bytes
from kvot.gateway.metering.metered import JSON_FAULTS, Reading, name_or_none, text_bytes
from kvot.gateway.metering.sse import Event
from kvot.gateway.providers.anthropic.usage import Usage
from kvot.gateway.receipt import Told, word
from kvot.gateway.tokens import Reported

_GENERATED = ("text", "thinking", "partial_json", "input")
"""Members of a content block, or of a delta to one, that the model wrote: not signatures, not results of tools."""


class _Event(msgspec.Struct):
    type: Any = None
    message: Any = None
    content_block: Any = None
    delta: Any = None
    usage: Any = None
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


def read_message(document: bytes) -> Reading:
    message = msgspec.json.decode(document)
    if not isinstance(message, dict):
        return Reading()
    usage = Usage()
    is_final = usage.take(message.get("usage"), len(document))
    tokens = usage.tokens
    content = message.get("content")
    return Reading(
        Reported(tokens, is_final=True) if is_final and tokens is not None else None,
        (sum(map(_generated_bytes, content)) if isinstance(content, list) else 0)
        + generated_bytes(message.get("error")),
        message.get("type") == "error",
        name_or_none(message.get("model")),
        name_or_none(message.get("id")),
        usage.told(word(message.get("stop_reason"))),
    )


class MessageEvents:
    """A stream: the input's figures come first, the output's with the delta that ends the message."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._finish: str | None = None
        self.reported: Reported | None = None
        self.output_bytes = 0
        self.has_failed = False
        self.is_over = False
        self.model: str | None = None
        self.request_id: str | None = None

    def read(self, event: Event) -> bool:
        """Nothing is ever taken out."""
        if event.data is None:
            self.output_bytes += 0 if event.is_read else len(event.raw)
            return False
        try:
            self._take(_decode_event(event.data), len(event.data))
        except JSON_FAULTS:
            self.output_bytes += len(event.data)
        return False

    def _take(self, event: _Event, event_bytes: int) -> None:
        if event.type == "content_block_delta":
            self.output_bytes += _generated_bytes(event.delta)
        elif event.type == "content_block_start":
            self.output_bytes += _generated_bytes(event.content_block)
        elif event.type == "message_start" and isinstance(event.message, dict):
            self._begin(event.message, event_bytes)
        elif event.type == "message_delta":
            has_output = self._usage.take(event.usage, event_bytes)
            finish = event.delta.get("stop_reason") if isinstance(event.delta, dict) else None
            self._finish = word(finish) or self._finish
            has_ended = has_output and finish is not None
            self._report(is_final=has_ended or (self.reported is not None and self.reported.is_final))
        elif event.type == "message_stop":
            self.is_over = self.reported is not None and self.reported.is_final
        elif event.type == "error":
            self.has_failed = True
            self.output_bytes += generated_bytes(event.error)

    def _begin(self, message: Mapping[str, Any], event_bytes: int) -> None:
        self.model, self.request_id = name_or_none(message.get("model")), name_or_none(message.get("id"))
        self._usage.take(message.get("usage"), event_bytes)
        self._report(is_final=False)

    def _report(self, *, is_final: bool) -> None:
        tokens = self._usage.tokens
        self.reported = Reported(tokens, is_final) if tokens is not None else None

    @property
    def told(self) -> Told:
        return self._usage.told(self._finish)


def _generated_bytes(block: object) -> int:
    if not isinstance(block, dict):
        return 0
    return sum(text_bytes(block[name]) for name in _GENERATED if name in block)
