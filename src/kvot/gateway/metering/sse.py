"""Server-sent events, found in the bytes as they pass. It never changes a byte, and never refuses one.

An event is handed out with its raw bytes, the blank line at its end included: what is handed out, put together, is what
came in. Where the events end does not depend on how the bytes are cut. Source: the HTML standard, "Server-sent events".
"""

import codecs
import re

import msgspec

from kvot.gateway.metering.thinned import Thinned

EVENT_BYTES_MAX = 4 * 1024 * 1024
"""The most that is kept of an event whose end has not come. The largest we know, the `response.completed` of OpenAI's
Responses, repeats the whole answer and its tools: under a megabyte for 128,000 tokens, but for its images. Of a larger
one the frame is read alone, `Thinned`, once all of it has passed."""

_BOM = codecs.BOM_UTF8
_LINE_END = re.compile(rb"\r\n|\n|\r")

_EVENT_END = re.compile(rb"\n\n|\r\r|\n\r\n|\n\r(?=[^\n])")
"""The end of a line and a blank line after it. A line feed after `\\r\\r` need not be waited for: it would be one more
blank line. After `\\n\\r` it must be, as it always comes where lines end in CRLF."""

_BLANK_LINES = re.compile(rb"[\r\n]*")
"""Between events they mean nothing, and pass at once: some providers keep a connection with them."""

_END_BYTES_MAX = 3

_DATA, _CRLF_END = b"data: ", b"\r\n\r\n"


class Event(msgspec.Struct, gc=False):
    """`name` and `data` are as the standard reads them; `data` None: it has none, as a comment that keeps a connection.

    is_read: False for a piece of an event beyond the bound, of which only the raw bytes are known. After the last comes
    an event of no raw bytes, with what is left of the whole where that is not too much.
    """

    raw: bytes
    name: bytes = b""
    data: bytes | None = None
    is_read: bool = True


class Scanner:
    """Bytes in, whole events out. What is held is never more than EVENT_BYTES_MAX and the piece just fed."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._held = bytearray()
        self._is_first = True
        self._skipped: Thinned | None = None  # of an event beyond the bound

    def feed(self, data: bytes) -> list[Event]:
        # The common case, told by a few looks: one whole event, with line feeds alone and nothing held before it.
        is_one = data.find(b"\n\n") == len(data) - 2 > 0 and b"\r" not in data and data[:1] != b"\n"
        if is_one and not self._held and not self._is_skipping and len(data) <= self._event_bytes_max:
            return [self._read(data)]
        if _is_line(data) and not self._held and not self._is_skipping and len(data) <= self._event_bytes_max:
            self._is_first = False
            return [Event(data, b"", data[len(_DATA) : -len(_CRLF_END)])]
        return self._several(data) or self._scan(data)

    def finish(self) -> list[Event]:
        """What was held, at the stream's end: read as an event, as the blank line may just be missing."""
        rest, self._held = bytes(self._held), bytearray()
        if not rest:
            return []
        return self._ended(rest) if self._is_skipping else [self._read(rest)]

    @property
    def _is_skipping(self) -> bool:
        return self._skipped is not None

    def _several(self, data: bytes) -> list[Event]:
        """The next common case: events with line feeds alone, one blank line after each, the last perhaps not whole.
        Nothing, and nothing taken, where it is not so: also where none ends here, so that bytes are looked at once."""
        if b"\n\n" not in data or self._is_skipping:
            return []
        text = bytes(self._held) + data
        is_plain = b"\r" not in text and b"\n\n\n" not in text and not text.startswith(b"\n")
        if not is_plain or len(text) > self._event_bytes_max:
            return []
        *events, rest = text.split(b"\n\n")
        self._held = bytearray(rest)
        return [self._read(each + b"\n\n") for each in events]

    def _scan(self, data: bytes) -> list[Event]:
        held = self._held
        search_from = max(0, len(held) - _END_BYTES_MAX + 1)
        held += data
        events: list[Event] = []
        start = 0 if self._is_skipping else self._pass_blank_lines(0, events)
        while match := _EVENT_END.search(held, max(start, search_from)):
            events += self._ended(bytes(held[start : match.end()]))
            start = self._pass_blank_lines(match.end(), events)
        del held[:start]
        if self._is_skipping or len(held) > self._event_bytes_max:
            events += self._skip()
        return events

    def _pass_blank_lines(self, start: int, events: list[Event]) -> int:
        match = _BLANK_LINES.match(self._held, start)
        assert match is not None
        if match.end() > start:
            self._is_first = False
            events.append(Event(match[0]))
        return match.end()

    def _ended(self, raw: bytes) -> list[Event]:
        if not self._is_skipping and len(raw) <= self._event_bytes_max:
            return [self._read(raw)]
        left, self._skipped = self._thinned(raw).take(), None
        event = self._read(left)
        passed = Event(raw, is_read=False)
        return [passed] if event.data is None else [passed, Event(b"", event.name, event.data)]

    def _skip(self) -> list[Event]:
        """Let go of an event beyond the bound, but for the bytes that may be the beginning of its end."""
        keep_from = max(0, len(self._held) - _END_BYTES_MAX + 1)
        raw = bytes(self._held[:keep_from])
        del self._held[:keep_from]
        self._skipped = self._thinned(raw)
        return [Event(raw, is_read=False)] if raw else []

    def _thinned(self, raw: bytes) -> Thinned:
        """Of the event beyond the bound, with the next piece of it."""
        thinned = self._skipped or Thinned(self._event_bytes_max)
        thinned.feed(raw.removeprefix(_BOM) if self._is_first else raw)
        self._is_first = False
        return thinned

    def _read(self, raw: bytes) -> Event:
        text = raw.removeprefix(_BOM) if self._is_first else raw
        self._is_first = False
        end = len(text) - 2
        if text.startswith(_DATA) and text.find(b"\n") == end and b"\r" not in text:
            return Event(raw, b"", text[len(_DATA) : end])
        if b"data" not in text:
            return Event(raw)
        name, line = b"", text
        if text.startswith(b"event: "):
            name, _, line = text[7:].partition(b"\n")
        end = len(line) - 2
        if line.startswith(b"data: ") and line.find(b"\n") == end and b"\r" not in text:
            return Event(raw, name, line[6:end])
        return _fields(raw, text)


def _is_line(data: bytes) -> bool:
    """Whether it is a whole event of one line of data, with CRLF at its end: as Gemini sends them all."""
    end = len(data) - len(_CRLF_END)
    return data.startswith(_DATA) and data.endswith(_CRLF_END) and data.find(b"\r") == end == data.find(b"\n") - 1


def _fields(raw: bytes, text: bytes) -> Event:
    """Any event, by the standard's rules."""
    name = b""
    data: list[bytes] = []
    for line in _LINE_END.split(text):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(raw, name, b"\n".join(data) if data else None)
