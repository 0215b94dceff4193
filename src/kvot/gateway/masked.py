"""What a provider's errors tell of the account behind the gateway's key: taken out of them, and of nothing else.

A refusal is masked whole. Of a stream a frame (an event, a line, an element of an array) is looked at from the line on
that has an error in it, and once it is whole: so how its bytes were cut makes no difference. Its `error` is masked, or
all of it where it is nothing else, or is nothing that can be read. No other byte of a stream is changed, whatever a
model's text looks like, and no line without that word is held back.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from kvot.gateway.metering.json_array import ElementReader
from kvot.gateway.metering.metered import JSON_FAULTS

HELD_BYTES_MAX = 1 << 20
"""Of a frame whose end has not come. A longer one (an image) passes as it comes: an error has a few hundred bytes, and
with the request repeated in it, as `response.failed` does, still fewer than this."""

_ID = re.compile(
    rb"((?:org(?<![0-9A-Za-z]org)|proj(?<![0-9A-Za-z]proj)|wrkspc(?<![0-9A-Za-z]wrkspc))[-_])"
    rb"(?=[a-z]*[0-9A-Z]|[a-z]{16})[0-9A-Za-z]{4,}"
)
"""org-vyUr… (OpenAI), org_01j… (Groq), proj_…, wrkspc_… (Anthropic). What is a word for machines (`org_not_found`) has
no digit, no capital and no sixteen letters in a row."""

_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WHOSE = re.compile(
    rb"(?i)(?:org|organi[sz]ation|team|workspace|tenant|subscription|account|project)s?(?:[-_ ]?(?:id|uuid))?"
    rb"[^0-9a-z]{1,8}\Z"
)
"""Before a UUID: "organization (9d50ef40-…)" and "(org: 9d50ef40-…" (Anthropic), "/team/d4c5…" (xAI),
"/subscriptions/…" (Azure). Those of requests stay, by which a provider finds a call again."""

_PROJECT = re.compile(
    rb'(roject(?:s|_?(?:[Nn]umber|id))?(?:[:=]|\\?/|\\?"\s{0,4}:\s{0,4}\\?"| (?=[0-9]{6})))[0-9]+(?![0-9A-Za-z])'
)
"""'project_number:123', "projects/123", "?project=123", "project 123456" (Google)."""

_WHOSE_LENGTH_MAX = 32


def without_account(text: bytes) -> bytes:
    """An error of a provider's without the ids of its organisation, project or workspace."""
    text = _ID.sub(rb"\1***", text)
    text = _UUID.sub(_of_account, text)
    return _PROJECT.sub(rb"\1***", text)


def _of_account(uuid: re.Match[bytes]) -> bytes:
    start = uuid.start()
    before = uuid.string[max(0, start - _WHOSE_LENGTH_MAX) : start]
    return b"***" if _WHOSE.search(before) else uuid[0]


class MaskedStream:
    """Bytes in; bytes out once their frame is whole. kind: the content type. mask: what is done to an error."""

    def __init__(self, kind: str, mask: Callable[[bytes], bytes]) -> None:
        self._mask = mask
        self._held = bytearray()
        self._elements = ElementReader() if kind == "application/json" else None
        self._ends, self._frames = _EVENTS if kind == "text/event-stream" else _LINES

    def feed(self, data: bytes) -> bytes:
        """What is whole by now. Most pieces are, and tell no error: they pass by a few looks."""
        if self._elements is not None:
            return self._feed_elements(self._elements, data)
        if not self._held and data.endswith(_LINE_ENDS) and b"error" not in data:
            return data
        search_from = max(0, len(self._held) - _END_BYTES_MAX + 1)
        self._held += data
        ends = self._ends if b"error" in self._held else _LINE_ENDS
        whole = self._take(max(at + len(end) if (at := self._held.rfind(end, search_from)) >= 0 else 0 for end in ends))
        if b"error" not in whole:
            return whole
        return self._frames.sub(lambda frame: self._masked_lines(frame[0]), whole)

    def finish(self) -> bytes:
        """What was held, at the stream's end: a frame, as its end may just be missing, or the beginning of one."""
        rest = self._take(len(self._held))
        return self._masked_lines(rest) if self._elements is None else self._masked(rest)

    def _feed_elements(self, reader: ElementReader, data: bytes) -> bytes:
        self._held += data
        pieces: list[bytes] = []
        end = 0
        for element in reader.feed(data):
            start = self._held.find(element, end)
            if start >= 0:  # all of it is here
                pieces += [bytes(self._held[end:start]), self._masked(element)]
                end = start + len(element)
        del self._held[:end]
        pieces.append(self._take(0 if reader.is_inside else len(self._held)))
        return b"".join(pieces)

    def _take(self, end: int) -> bytes:
        if len(self._held) - end > HELD_BYTES_MAX:
            end = len(self._held)
        taken = bytes(self._held[:end])
        del self._held[:end]
        return taken

    def _masked_lines(self, frame: bytes) -> bytes:
        """From the line on that has an error in it: those before it may have passed."""
        at = frame.find(b"error")
        start = max(frame.rfind(end, 0, at) for end in _LINE_ENDS) + 1 if at >= 0 else 0
        return frame[:start] + self._masked(frame[start:])

    def _masked(self, frame: bytes) -> bytes:
        error = _error_of(frame) if b"error" in frame else None
        if error is None:
            return frame
        if error not in frame:  # its JSON is spread over several lines of an event
            return self._mask(frame)
        return frame.replace(error, self._mask(error))


_Framing = tuple[tuple[bytes, ...], re.Pattern[bytes]]
_EVENTS: _Framing = (b"\n\n", b"\n\r\n", b"\r\r"), re.compile(rb"(?:[^\r\n]+(?:\r\n|\r|\n|\Z))+")
_LINES: _Framing = (b"\n",), re.compile(rb"[^\n]+")
"""What frames end in, and which bytes are one."""

_LINE_ENDS = b"\n", b"\r"
_END_BYTES_MAX = 3
_NO_DATA = (b"event:", b"id:", b"retry:", b":")

_ERROR_BEGUN = re.compile(rb'(?<!\\)"(?:error"\s*:\s*[{"]|type"\s*:\s*"error")')
"""In a frame that is cut, or cannot be read. No text has a quote without a backslash before it."""

_NAMED_ERROR = re.compile(rb"event(?<![^\r\n]event): ?error[ \t]*(?:[\r\n]|\Z)")

_NONE = msgspec.Raw(b"null")


class _Frame(msgspec.Struct):
    """What of a document may tell an error: all of it by its type, a member, or a member of what it is about."""

    type: Any = None
    error: msgspec.Raw = _NONE
    response: msgspec.Raw = _NONE
    x_groq: msgspec.Raw = _NONE


_decode = msgspec.json.Decoder(_Frame).decode


def _error_of(frame: bytes) -> bytes | None:
    """The part of a frame that tells an error; None: it tells none."""
    if _NAMED_ERROR.search(frame):
        return frame
    document = _read(_data_of(frame))
    if document is None:
        return frame if _ERROR_BEGUN.search(frame) else None
    if document.type == "error":
        return frame
    for place in (document, _read(document.response), _read(document.x_groq)):
        if place is not None and (error := bytes(place.error)) != b"null":
            return error
    return None


def _data_of(frame: bytes) -> bytes:
    """Of an event, its data; any other frame is its own."""
    return b"\n".join(line.removeprefix(b"data:") for line in frame.splitlines() if not line.startswith(_NO_DATA))


def _read(document: bytes | msgspec.Raw) -> _Frame | None:
    """None where it is no object."""
    try:
        return _decode(document)
    except JSON_FAULTS:
        return None
