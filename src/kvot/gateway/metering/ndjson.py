"""The lines of an NDJSON reply that comes in pieces, cut anywhere. It never raises, and never keeps more than one line.

A line ends in LF; a CR before it is white space to JSON. The last line may lack its end. A line over the bound is
thinned as it passes, and the reader goes on with the next.
"""

from kvot.gateway.metering.unfinished import Unfinished

LINE_BYTES_MAX = 4 << 20
"""Ollama's last line may repeat the whole context as numbers: seven bytes for each of some 256 k tokens."""


class LineReader:
    """Bytes in, whole lines out, without their ends; empty ones are left out."""

    __slots__ = ("_line_bytes_max", "_unfinished")

    def __init__(self, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._line_bytes_max = line_bytes_max
        self._unfinished = Unfinished(line_bytes_max)

    def feed(self, data: bytes) -> list[bytes]:
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._unfinished:
            self._unfinished.add(lines[0])
            lines[0] = self._unfinished.take()
        if rest:
            self._unfinished.add(rest)
        if max(map(len, lines), default=0) > self._line_bytes_max:
            lines = [self._in_bounds(line) for line in lines]
        return [line for line in lines if line]

    def _in_bounds(self, line: bytes) -> bytes:
        """A line that came in one piece, or what is left of it."""
        if len(line) <= self._line_bytes_max:
            return line
        alone = Unfinished(self._line_bytes_max)
        alone.add(line)
        self._unfinished.forgotten_bytes += alone.forgotten_bytes
        return alone.take()

    @property
    def forgotten_bytes(self) -> int:
        """In lines that were too long to be kept."""
        return self._unfinished.forgotten_bytes

    def finish(self) -> list[bytes]:
        """The line that the reply ended in; none where it ended at a line's end."""
        line = self._unfinished.take()
        return [line] if line else []
