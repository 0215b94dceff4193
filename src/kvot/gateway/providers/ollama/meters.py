"""Meters of Ollama's replies: one document, or a line for each piece, the last of which has all figures.

Any reply may be hostile or cut. What cannot be read passes as it is, and its bytes count as output for the estimate.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kvot.gateway.metering.in_errors import generated_bytes
from kvot.gateway.metering.metered import JSON_FAULTS, Reading, figure, name_or_none, text_bytes
from kvot.gateway.receipt import Told, word
from kvot.gateway.tokens import Reported, TokenCount

_INPUT, _CACHED, _OUTPUT = "prompt_eval_count", "prompt_eval_cached_count", "eval_count"
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_ONLY_LOADED = ("load", "unload")
"""Why an answer ended that never began: the request had no prompt, and only loaded the model or let it go."""


def read_usage(reply: Mapping[str, Any]) -> Reported | None:
    """Older versions leave out the input's figure when the whole prompt was cached: it is then unknown, and not 0.

    The output's figure alone is a part, which is never final. None where a figure cannot be true.
    """
    if reply.get("done_reason") in _ONLY_LOADED and reply.get(_OUTPUT) is None:
        return Reported(TokenCount(), is_final=True)
    told = {name: reply[name] for name in (_INPUT, _CACHED, _OUTPUT) if reply.get(name) is not None}
    figures = {name: count for name, value in told.items() if (count := figure(value)) is not None}
    if len(figures) < len(told) or not any(figures.values()):
        return None
    prompt, cached = figures.get(_INPUT, 0), figures.get(_CACHED, 0)
    read = cached if cached <= prompt else 0  # a part that exceeds its whole cannot be; the whole still counts
    return Reported(TokenCount(prompt - read, read, 0, figures.get(_OUTPUT, 0)), is_final=_INPUT in figures)


def _told_of(reply: Mapping[str, Any]) -> Told:
    """The figures stand beside the content, in no object of their own: one is made of them."""
    names = (_INPUT, _CACHED, _OUTPUT, *_DURATIONS)
    usage = {name: reply[name] for name in names if type(reply.get(name)) in (int, float)}
    return Told(usage or None, finish=word(reply.get("done_reason")))


def read_reply(document: bytes) -> Reading:
    """Of any path: an embedding has the input's figure alone, and no output."""
    lines = Lines()
    lines.take(msgspec.json.decode(document), is_whole=True)
    return Reading(lines.reported, lines.output_bytes, lines.has_failed, lines.model, None, lines.told)


class Lines:
    def __init__(self) -> None:
        self.reported: Reported | None = None
        self.output_bytes = 0
        self.has_failed = False
        self.is_over = False
        self.model: str | None = None
        self.request_id: str | None = None  # Ollama gives none
        self.told = Told()

    def read_document(self, document: bytes) -> None:
        try:
            self.take(msgspec.json.decode(document))
        except JSON_FAULTS:
            self.output_bytes += len(document)

    def take(self, line: object, *, is_whole: bool = False) -> None:
        """is_whole: a reply of one document, which is its own last line."""
        if not isinstance(line, dict):
            return
        self.model = self.model or name_or_none(line.get("model"))
        self.has_failed = self.has_failed or line.get("error") is not None
        self.output_bytes += generated_bytes(line.get("error"))
        self.output_bytes += text_bytes(line.get("response")) + text_bytes(line.get("thinking"))
        message = line.get("message")
        if isinstance(message, dict):
            self.output_bytes += sum(text_bytes(message.get(name)) for name in ("content", "thinking", "tool_calls"))
        if is_whole or line.get("done") is True:
            self.reported = read_usage(line) or self.reported
            self.is_over = self.reported is not None and self.reported.is_final
            self.told = _told_of(line)
