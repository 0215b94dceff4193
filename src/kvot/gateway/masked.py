"""What a provider's errors tell of the account behind the gateway's key: taken out of them, and of nothing else.

A refusal is masked whole. Of a stream a frame (an event, a line, an element of an array) is looked at from the line on
that has an error in it, and once it is whole: so how its bytes were cut makes no difference. So is a reply that is one
document. Its `error` is masked, that of the reply or of one of its answers, or all of it where it is nothing else. No
other byte is changed, whatever a model's text looks like, and no line of a stream without that word is held back.

What is cut, or cannot be read, is masked from where an error seems to begin.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from kvot.gateway.metering.json_array import ElementReader
from kvot.gateway.metering.mended import mended
from kvot.gateway.metering.metered import JSON_FAULTS

HELD_BYTES_MAX = 1 << 20
"""Of a frame whose end has not come, or of a document. A longer one (an image, thousands of vectors) passes as it
comes: an error has a few hundred bytes, and with the request repeated in it, as `response.failed` does, still fewer
than this."""

_ID = re.compile(
    rb"((?:org(?<![0-9A-Za-z]org)|proj(?<![0-9A-Za-z]proj)|wrkspc(?<![0-9A-Za-z]wrkspc))[-_])"
    rb"(?=[a-z]*[0-9A-Z]|[a-z]{16})[0-9A-Za-z]{4,}"
)
"""org-vyUr… (OpenAI), org_01j… (Groq), proj_…, wrkspc_… (Anthropic). What is a word for machines (`org_not_found`) has
no digit, no capital and no sixteen letters in a row."""

_USER_ID = re.compile(rb"(user(?<![0-9A-Za-z]user)_)[0-9A-Za-z]{20,}")
"""user_2wS3… (OpenRouter): who the key belongs to."""

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
    """An error of a provider's without the ids of its organisation, project, workspace or user."""
    text = _ID.sub(rb"\1***", text)
    text = _USER_ID.sub(rb"\1***", text)
    text = _UUID.sub(_of_account, text)
    return _PROJECT.sub(rb"\1***", text)


def _of_account(uuid: re.Match[bytes]) -> bytes:
    start = uuid.start()
    before = uuid.string[max(0, start - _WHOSE_LENGTH_MAX) : start]
    return b"***" if _WHOSE.search(before) else uuid[0]


Mask = Callable[[bytes], bytes]
"""What is done to an error."""


_BLANKS = b" \t\r\n"


class MaskedDocument:
    """Bytes of one document in; out at its end, where they are not more than an error comes in."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held: bytearray | None = bytearray()

    def feed(self, data: bytes) -> bytes:
        if self._held is None:
            return data
        begun = data if self._held else data.lstrip(_BLANKS)  # blank lines before it keep a connection open (DeepSeek)
        self._held += begun
        return data[: len(data) - len(begun)] + (self._take() if len(self._held) > HELD_BYTES_MAX else b"")

    def finish(self) -> bytes:
        document = self._take()
        return (
            _masked(document, document.removeprefix(codecs.BOM_UTF8), self._mask) if b"error" in document else document
        )

    def _take(self) -> bytes:
        taken, self._held = bytes(self._held or b""), None
        return taken


class MaskedStream:
    """Bytes in; bytes out once their frame is whole. kind: the content type."""

    def __init__(self, kind: str, mask: Mask) -> None:
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
        return _masked_frame(frame, self._mask) if b"error" in frame else frame


_Framing = tuple[tuple[bytes, ...], re.Pattern[bytes]]
_EVENTS: _Framing = (b"\n\n", b"\n\r\n", b"\r\r"), re.compile(rb"(?:[^\r\n]+(?:\r\n|\r|\n|\Z))+")
_LINES: _Framing = (b"\n",), re.compile(rb"[^\n]+")
"""What frames end in, and which bytes are one."""

_LINE_ENDS = b"\n", b"\r"
_END_BYTES_MAX = 3
_NO_DATA = (b"event:", b"id:", b"retry:", b":")

_ERROR_BEGUN = re.compile(rb'(?<!\\)"(?:error"\s*:\s*[{"]|type"\s*:\s*"error")')
"""In what is cut, or cannot be read. No text has a quote without a backslash before it."""

_NAME_BEFORE = re.compile(rb'"(?:error|choices|user_id)"(?:\s|data:)*:(?:\s|data:)*\Z')
"""Also where it stands in another line of an event."""

_NAMED_ERROR = re.compile(rb"event(?<![^\r\n]event): ?error[ \t]*(?:[\r\n]|\Z)")

_NONE = msgspec.Raw(b"null")


class _Frame(msgspec.Struct):
    """What of a document may tell an error: all of it by its type, a member, or a member of what it is about, or of one
    of its answers (OpenRouter)."""

    type: Any = None
    error: msgspec.Raw = _NONE
    response: msgspec.Raw = _NONE
    x_groq: msgspec.Raw = _NONE
    choices: msgspec.Raw = _NONE
    user_id: msgspec.Raw = _NONE  # beside an error of OpenRouter's: whose key it was


_decode = msgspec.json.Decoder(_Frame).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _masked_frame(frame: bytes, mask: Mask) -> bytes:
    return mask(frame) if _NAMED_ERROR.search(frame) else _masked(frame, _data_of(frame), mask)


def _data_of(frame: bytes) -> bytes:
    """Of an event, its data; any other frame is its own."""
    return b"\n".join(line.removeprefix(b"data:") for line in frame.splitlines() if not line.startswith(_NO_DATA))


def _masked(whole: bytes, data: bytes, mask: Mask) -> bytes:
    """Any bytes with a document in them, which is `data`."""
    document = _read(data)
    if document is not None:
        return mask(whole) if document.type == "error" else _with_masked_parts(whole, document, mask)
    begun = _ERROR_BEGUN.search(whole)
    if begun is None or _tells_none(data):
        return whole
    at = 0 if begun[0].startswith(b'"type"') else begun.start()
    return whole[:at] + mask(whole[at:])


def _tells_none(unread: bytes) -> bool:
    """Of what is JSON to others: whether no error is where one would be, so that what looks like one was generated."""
    try:
        document = _read(mended(unread))
    except (ValueError, RecursionError):
        return False
    if document is None or document.type == "error":
        return False
    return all(part == masked for part, masked in _masked_parts(document, lambda _error: b""))


def _masked_parts(document: _Frame, mask: Mask) -> Iterator[tuple[bytes, bytes]]:
    """What of it has an error, as it is and masked; a part that another may be inside of comes first."""
    choices = bytes(document.choices)
    if b'"error"' in choices:
        yield choices, _masked_answers(choices, mask)
    for place in (document, _read(document.response), _read(document.x_groq)):
        if place is not None and (error := bytes(place.error)) != b"null":
            yield error, mask(error)
    if bytes(document.error) != b"null" and (whose := bytes(document.user_id)) != b"null":
        yield whose, mask(whose)


def _masked_answers(choices: bytes, mask: Mask) -> bytes:
    try:
        answers = [bytes(answer) for answer in _decode_list(choices)]
    except JSON_FAULTS:
        return choices
    pieces, end = [], 0
    for answer in answers:
        start = choices.index(answer, end)
        place = _read(answer)
        error = b"null" if place is None else bytes(place.error)
        pieces += [choices[end:start], answer if error == b"null" else _replaced(answer, error, mask(error))]
        end = start + len(answer)
    return b"".join([*pieces, choices[end:]])


def _read(document: bytes | msgspec.Raw) -> _Frame | None:
    """None where it is no object."""
    try:
        return _decode(document)
    except JSON_FAULTS:
        return None


def _with_masked_parts(whole: bytes, document: _Frame, mask: Mask) -> bytes:
    passes = whole
    for part, masked in _masked_parts(document, mask):
        if part == masked:
            continue
        if part not in whole:  # its JSON is spread over several lines of an event
            return mask(whole)
        passes = _replaced(passes, part, masked)
    return passes


def _replaced(whole: bytes, part: bytes, masked: bytes) -> bytes:
    """Only behind its name, as a model may have said the same."""
    first, *others = whole.split(part)
    pieces = [first]
    for before, after in pairwise((first, *others)):
        pieces += [masked if _NAME_BEFORE.search(before) else part, after]
    return b"".join(pieces)
