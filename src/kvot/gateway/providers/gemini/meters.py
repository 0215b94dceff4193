"""Meters of Gemini's replies: whole, as server-sent events, or as one JSON array that comes in pieces.

Any reply may be hostile or cut. What cannot be read passes as it is, and its bytes count as output for the estimate.
"""

from typing import Any

import msgspec

from kvot.gateway.metering.in_errors import generated_bytes
from kvot.gateway.metering.metered import JSON_FAULTS, Reading, name_or_none, text_bytes
from kvot.gateway.metering.sse import Event
from kvot.gateway.providers.gemini.usage import read_usage, told_of
from kvot.gateway.receipt import Told, kept, word
from kvot.gateway.tokens import Reported

_NOT_GENERATED = frozenset({"thought", "thoughtSignature", "inlineData", "codeExecutionResult"})
"""Members of a part that are not text of the model's. No bytes could stand for the tokens of an image."""


def read_reply(document: bytes) -> Reading:
    """Of generateContent. An error may be wrapped in an array, as in the stream without SSE."""
    stream = Replies(answers=0)
    stream.take(msgspec.json.decode(document), len(document))
    return Reading(
        stream.reported, stream.output_bytes, stream.has_failed, stream.model, stream.request_id, stream.told
    )


class Replies:
    """A stream, each piece of which is a whole reply with the figures until then: the last ones count.

    answers: how many answers must have ended for the figures to be final. A blocked prompt has none, and is final.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._ended: set[int] = set()
        self._is_blocked = False
        self._usage: Any = None
        self._finish: str | None = None
        self.reported: Reported | None = None
        self.output_bytes = 0
        self.has_failed = False
        self.is_over = False  # no event says that none will follow
        self.model: str | None = None
        self.request_id: str | None = None

    def read(self, event: Event) -> bool:
        """Nothing is ever taken out."""
        if event.data is not None:
            self.read_document(event.data)
        elif not event.is_read:
            self.output_bytes += len(event.raw)
        return False

    def read_document(self, document: bytes) -> None:
        try:
            self.take(msgspec.json.decode(document), len(document))
        except JSON_FAULTS:
            self.output_bytes += len(document)

    def take(self, reply: object, event_bytes: int) -> None:
        for each in reply if isinstance(reply, list) else [reply]:
            if isinstance(each, dict):
                self._take(each, event_bytes)

    def _take(self, reply: dict[str, Any], event_bytes: int) -> None:
        if self.request_id is None:
            self.model, self.request_id = name_or_none(reply.get("modelVersion")), name_or_none(reply.get("responseId"))
        self.has_failed = self.has_failed or reply.get("error") is not None
        self.output_bytes += generated_bytes(reply.get("error"))
        candidates = reply.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            self._take_candidate(candidate)
        feedback = reply.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason") is not None:
            self._is_blocked = True
            self._finish = word(feedback["blockReason"])
        is_final = self._is_blocked or len(self._ended) >= self._answers
        usage = reply.get("usageMetadata")
        reported = read_usage(usage, is_final=is_final)
        if reported is not None:
            self.reported = reported
        self._usage = kept(usage, event_bytes) or self._usage

    def _take_candidate(self, candidate: object) -> None:
        if not isinstance(candidate, dict):
            return
        index = candidate.get("index", 0)
        finish = candidate.get("finishReason")
        self._finish = word(finish) or self._finish
        if finish is not None and isinstance(index, int) and len(self._ended) < self._answers:
            self._ended.add(index)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        self.output_bytes += sum(map(_generated_bytes, parts)) if isinstance(parts, list) else 0

    @property
    def told(self) -> Told:
        return told_of(self._usage, self._finish)


def _generated_bytes(part: object) -> int:
    if not isinstance(part, dict):
        return 0
    return sum(text_bytes(value) for name, value in part.items() if name not in _NOT_GENERATED)
