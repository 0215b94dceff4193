"""What the meters of all dialects share: figures that can be true, replies that are one document, events that pass.

It never keeps a reply: a stream's meter holds one event, a document's meter a bounded copy. No byte is changed or
delayed, but for events that were asked for on our own account, which are taken out whole.
"""

import codecs
import re
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from kvot.core.model import TOKENS_MAX
from kvot.gateway.metering.head import short_members
from kvot.gateway.metering.mended import mended
from kvot.gateway.metering.reader import Figures, ReaderMeter
from kvot.gateway.metering.sse import Event, Scanner
from kvot.gateway.receipt import NAME_LENGTH_MAX, Told
from kvot.gateway.tokens import Reported

DOCUMENT_BYTES_MAX = 2 * 1024 * 1024
"""The most that is kept of a reply that is one document. An answer of 128,000 tokens takes well under a megabyte; a
reply beyond it (embeddings by the thousand) is read from its tail, where the usage mostly stands, and from the short
members before it (head.py)."""

TAIL_BYTES_MAX = 64 * 1024
"""What is kept of such a reply: its usage, and the members after it."""

TAIL_TRIES_MAX = 16
"""How many members of such a name are tried there, the last ones: each try reads the tail once."""

JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a document that anybody wrote may raise. The interpreter bounds the depth; the decoder tells."""


def figure(value: object) -> int | None:
    """A count of tokens that can be true: whole, not negative, at most TOKENS_MAX. 12.0 is whole, True is no number."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None


def text_bytes(value: object) -> int:
    """UTF-8 bytes of all text in a value read from JSON, at any depth; the names of members are not counted."""
    if isinstance(value, str):
        return len(value) if value.isascii() else _utf8_bytes(value)
    total = 0
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            total += len(each) if each.isascii() else _utf8_bytes(each)
        elif isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
    return total


def _utf8_bytes(text: str) -> int:
    """In pieces: to encode it, CPython takes four bytes for each character of some texts, before it knows how many."""
    if len(text) <= _PIECE_CHARACTERS:
        return len(text.encode())
    starts = range(0, len(text), _PIECE_CHARACTERS)
    return sum(len(text[start : start + _PIECE_CHARACTERS].encode()) for start in starts)


_PIECE_CHARACTERS = 65_536


class Reading(NamedTuple):
    """What one document of a reply tells."""

    reported: Reported | None = None
    output_bytes: int = 0
    has_failed: bool = False
    model: str | None = None
    request_id: str | None = None
    told: Told = Told()


class DocumentMeter:
    """For a reply that is one JSON document; it is read at its end. `read` may raise JSON_FAULTS.

    usage_names: the members that hold the usage, to look for in the tail of a document beyond the bound.
    has_output: whether the document holds generated content, and not only vectors or numbers.
    """

    def __init__(self, read: Callable[[bytes], Reading], *usage_names: str, has_output: bool = True) -> None:
        self._read = read
        self._usage_names = usage_names
        self._has_output = has_output
        self._kept = bytearray()
        self._bytes = 0
        self._reading: Reading | None = None
        self._head = b""  # short members of a document of whose rest only the tail is read

    def feed(self, data: bytes) -> bytes:
        was_tail = self._is_tail
        self._bytes += len(data)
        self._kept += data
        if self._is_tail and not was_tail:  # the head is here for the last time
            self._head = short_members(bytes(self._kept))
        if self._is_tail and len(self._kept) > 2 * TAIL_BYTES_MAX:
            del self._kept[:-TAIL_BYTES_MAX]
        return data

    def finish(self) -> bytes:
        document = bytes(self._kept).removeprefix(codecs.BOM_UTF8)
        if self._is_tail:
            document = _joined(self._head, tail_of(document, *self._usage_names))
        self._kept.clear()
        self._reading = self._read_somehow(document)
        return b""

    def _read_somehow(self, document: bytes) -> Reading | None:
        try:
            return self._read(document)
        except JSON_FAULTS:
            pass
        try:
            return self._read(mended(document))
        except (ValueError, *JSON_FAULTS):
            return None

    @property
    def reported(self) -> Reported | None:
        return self._reading.reported if self._reading else None

    @property
    def output_bytes(self) -> int:
        """All that passed, as long as the document is not known: more than the content, never less."""
        if not self._has_output:
            return 0
        return self._reading.output_bytes if self._reading and not self._is_tail else self._bytes

    @property
    def _is_tail(self) -> bool:
        return self._bytes > DOCUMENT_BYTES_MAX

    @property
    def has_failed(self) -> bool:
        return bool(self._reading and self._reading.has_failed)

    @property
    def is_over(self) -> bool:
        """A document has no last word: it is read at its end."""
        return False

    @property
    def model(self) -> str | None:
        return self._reading.model if self._reading else None

    @property
    def request_id(self) -> str | None:
        return self._reading.request_id if self._reading else None

    @property
    def told(self) -> Told:
        return self._reading.told if self._reading else Told()


def _joined(head: bytes, tail: bytes) -> bytes:
    """One document of the members of a head, each with its comma, and of an object, or none, from the tail."""
    return b"{" + (head + tail[1:] if tail else head.removesuffix(b",") + b"}")


def tail_of(tail: bytes, *names: str) -> bytes:
    """An object of the outermost members from the first of `names` to the end of a document whose tail this is; empty
    where none is among them.

    Text cannot pass for the member: inside a string a quote has a backslash before it. Nor can a member of an inner
    object: what follows it closes more than one object, and is then no document.
    """
    any_name = b"|".join(re.escape(name.encode()) for name in names)
    matches = re.finditer(rb'(?<!\\)"(?:%b)"\s*:' % any_name, tail)
    for match in deque(matches, TAIL_TRIES_MAX):
        document = b"{" + tail[match.start() :]
        try:
            msgspec.json.decode(document)
        except JSON_FAULTS:
            continue
        return document
    return b""


class EventReader(Figures, Protocol):
    """Reads the events of one dialect's stream."""

    def read(self, event: Event) -> bool:
        """Take an event's figures in; whether it is to be taken out, as one that only we asked for."""
        ...


class StreamMeter(ReaderMeter):
    """For a stream of events. takes_out: some may have to go, so each is kept back until it is whole.

    What comes behind the last word passes and is not read: the call may be charged by then.
    """

    def __init__(self, reader: EventReader, *, takes_out: bool) -> None:
        super().__init__(reader)
        self._events = reader
        self._takes_out = takes_out
        self._scanner = Scanner()

    def feed(self, data: bytes) -> bytes:
        return self._passing(self._scanner.feed(data), data)

    def finish(self) -> bytes:
        return self._passing(self._scanner.finish(), b"")

    def _passing(self, events: list[Event], data: bytes) -> bytes:
        reader = self._events
        if not self._takes_out:
            for event in events:
                if not reader.is_over:
                    reader.read(event)
            return data
        return b"".join([event.raw for event in events if reader.is_over or not reader.read(event)])


def name_or_none(value: Any) -> str | None:
    """A model's name or a reply's id as a provider gives it: text of a length that fits a record, or nothing."""
    return value if isinstance(value, str) and 0 < len(value) <= NAME_LENGTH_MAX and value.isprintable() else None
