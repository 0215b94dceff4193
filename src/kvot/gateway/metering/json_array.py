"""The elements of one JSON array that comes in pieces, cut anywhere: also in a string, an escape, a letter.

Only objects and arrays count as elements; numbers, strings and words between them pass by. An object that stands alone
is its own only element: an API may answer so when it fails. It never raises, and never keeps more than one element: one
over the bound is thinned as it passes, and the reader goes on behind it. It checks no more than it needs to find
where elements end, so what it finds may still be no JSON; what follows the array's end it does not look at.
"""

import re
from collections.abc import Iterator

from kvot.gateway.metering.unfinished import Unfinished

ELEMENT_BYTES_MAX = 4 << 20
"""A chunk of text has some hundred bytes, but a generated image comes whole in one, encoded."""

_IN_STRING = rb'(?:[^"\\]++|\\.)*+'
_UP_TO_QUOTE = re.compile(_IN_STRING, re.DOTALL)
_UP_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"%b"[^"\[\]{}]*+)*+' % _IN_STRING, re.DOTALL)
"""Over whole strings, up to a bracket or to a quote whose string is cut. It never goes back: linear in time."""

_QUOTE, _OPENING_ARRAY = b'"['
_OPENING, _CLOSING = b"[{", b"]}"


class ElementReader:
    """Bytes in, whole elements out, as they stood."""

    __slots__ = ("_depth", "_depth_outside", "_is_escaping", "_is_in_string", "_is_over", "_unfinished")

    def __init__(self, element_bytes_max: int = ELEMENT_BYTES_MAX) -> None:
        self._unfinished = Unfinished(element_bytes_max)
        self._depth = 0
        self._depth_outside: int | None = None  # brackets around an element; None: not one bracket has come
        self._is_in_string = False
        self._is_escaping = False  # in a string, behind a backslash
        self._is_over = False

    def feed(self, data: bytes) -> list[bytes]:
        elements = []
        begin = 0
        for place, is_end in self._edges(data):
            if not is_end:
                begin = place
                continue
            self._unfinished.add(data[begin:place])
            if element := self._unfinished.take():
                elements.append(element)
        if self.is_inside:
            self._unfinished.add(data[begin:])
        return elements

    def finish(self) -> list[bytes]:
        """Nothing: an element that was cut is none."""
        self._unfinished.forget()
        return []

    @property
    def is_inside(self) -> bool:
        """An element has begun whose end has not come."""
        return self._depth_outside is not None and self._depth > self._depth_outside

    @property
    def forgotten_bytes(self) -> int:
        """In elements that were too long to be kept, or were cut."""
        return self._unfinished.forgotten_bytes

    def _edges(self, data: bytes) -> Iterator[tuple[int, bool]]:
        """Where elements begin and end in a piece, in order; the second of a pair is whether it is an end."""
        at = self._pass_string(data, 0) if self._is_in_string and data else 0
        while not self._is_over and (at := _end(_UP_TO_BRACKET, data, at)) < len(data):
            byte = data[at]
            if byte in _OPENING:
                if self._open(byte):
                    yield at, False
                at += 1
            elif byte in _CLOSING:
                at += 1
                if self._close():
                    yield at, True
            else:
                self._is_in_string = True
                at = self._pass_string(data, at + 1)

    def _open(self, byte: int) -> bool:
        """Whether an element begins."""
        if self._depth_outside is None:
            self._depth_outside = 1 if byte == _OPENING_ARRAY else 0
        self._depth += 1
        return self._depth == self._depth_outside + 1

    def _close(self) -> bool:
        """Whether an element ends."""
        self._depth -= 1
        self._is_over = self._depth <= 0
        return self._depth == self._depth_outside

    def _pass_string(self, data: bytes, at: int) -> int:
        """Behind the string's closing quote, or the end of a piece that has none."""
        at = _end(_UP_TO_QUOTE, data, at + self._is_escaping)
        is_cut = at == len(data)
        self._is_in_string = is_cut or data[at] != _QUOTE
        self._is_escaping = self._is_in_string and not is_cut
        return min(at + 1, len(data))


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Where a pattern that fits everywhere, if only on nothing, stops fitting."""
    found = pattern.match(data, at)
    assert found is not None
    return found.end()
