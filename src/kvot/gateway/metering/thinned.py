"""A document too long to be kept, by its frame alone: what says what was used stands in few bytes, beside the content.

An image comes encoded in one string, as long as it may be, and what tells of probabilities is nested deep: long strings
become empty ones, and so do lists and objects far inside. Everything else stays where it stands, so that what is left
is a document with the same members in the same places, which the ordinary readers read. It works on the bytes as they
come, cut anywhere; what was inside a string stays so, or goes: no text can become a member.
"""

import re

KEPT_BYTES_MAX = 131_072
"""Of what is left. A response without its content, with a hundred tools, is half of it."""

STRING_BYTES_MAX = 1_024
"""Of a string that is kept: ids, names of models, kinds of events."""

DEPTH_MAX = 5
"""Of what is kept. The figures of an event that holds a response are at four."""

LEVELS_MAX = 1_000
"""Of all that passes, as far as it is counted: what is made of brackets alone ends there."""

_UP_TO_MARK = re.compile(rb'[^"\[\]{}]*+')
IN_STRING = rb'(?:[^"\\\r\n]++|\\.)*+'
"""Of a string, what stands between its quotes."""

_UP_TO_STRING_END = re.compile(IN_STRING, re.DOTALL)
"""A line's end is in no string of JSON: so what is no JSON, as the name of an event, ends there at the latest."""

_GROUPS_LEVELS = 8


def groups(levels: int) -> bytes:
    """Whole strings, and whole lists and objects with so many levels of others in them."""
    inner = rb"[\[{]%b[\]}]|" % groups(levels - 1) if levels else b""
    return rb'(?:[^"\[\]{}]++|%b"%b")*+' % (inner, IN_STRING)


_UP_TO_EDGE = re.compile(groups(_GROUPS_LEVELS), re.DOTALL)
"""Of what is not kept: as far as nothing opens that does not close. One that does not close in the piece is tried once
for each level: linear in time."""

_QUOTE, _BACKSLASH = b'"\\'
_OPENING, _CLOSING = b"[{", b"]}"


class Thinned:
    """Fed with a document, or with the lines of an event that hold one. Nothing is left once it is too much."""

    __slots__ = ("_bytes_max", "_depth", "_is_escaping", "_is_in_string", "_is_over", "_kept", "_string_at")

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._bytes_max = min(bytes_max, KEPT_BYTES_MAX)
        self._kept = bytearray()
        self._depth = 0
        self._is_in_string = False
        self._is_escaping = False  # in a string, behind a backslash
        self._is_over = False
        self._string_at = 0  # where the string begins that the piece is in; negative: it went

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self._is_over:
            at = self._string(data, at) if self._is_in_string else self._frame(data, at)

    def take(self) -> bytes:
        """What is left; empty where it was too much."""
        return bytes(self._kept) if len(self._kept) <= self._bytes_max else b""

    def _frame(self, data: bytes, at: int) -> int:
        """Up to a string or a bracket, that included."""
        stop = _end(_UP_TO_MARK if self._depth <= DEPTH_MAX else _UP_TO_EDGE, data, at)
        self._keep(data, at, stop)
        if stop == len(data):
            return stop
        mark = data[stop]
        if mark == _QUOTE:
            self._is_in_string, self._string_at = True, len(self._kept)
        self._depth -= mark in _CLOSING
        self._keep(data, stop, stop + 1)
        self._depth += mark in _OPENING
        if not 0 <= self._depth <= LEVELS_MAX:
            self._give_up()
        return stop + 1

    def _string(self, data: bytes, at: int) -> int:
        """Behind the string's end, or to the end of a piece that has none."""
        stop = _end(_UP_TO_STRING_END, data, at + self._is_escaping)
        self._is_escaping = stop < len(data) and data[stop] == _BACKSLASH  # the piece's last
        stop += self._is_escaping
        self._keep_string(data, at, stop)
        if stop == len(data):
            return stop
        self._is_in_string = False
        if data[stop] != _QUOTE:
            return stop
        self._keep(data, stop, stop + 1)
        return stop + 1

    def _keep_string(self, data: bytes, at: int, stop: int) -> None:
        """The bound of all is looked at when the string has ended: until then it may yet go."""
        if self._depth > DEPTH_MAX or self._string_at < 0:
            return
        if len(self._kept) + stop - at - self._string_at > STRING_BYTES_MAX:
            del self._kept[self._string_at + 1 :]
            self._string_at = -1
        else:
            self._kept += data[at:stop]

    def _keep(self, data: bytes, at: int, stop: int) -> None:
        if self._depth > DEPTH_MAX or self._is_over:
            return
        if len(self._kept) + stop - at > self._bytes_max:
            self._give_up()
        else:
            self._kept += data[at:stop]

    def _give_up(self) -> None:
        self._is_over = True
        self._kept = bytearray()


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Where a pattern that fits everywhere, if only on nothing, stops fitting."""
    found = pattern.match(data, at)
    assert found is not None
    return found.end()
