"""The beginning of a line or an element whose end has not come. Of what is too long only the frame stays, `Thinned`."""

from kvot.gateway.metering.thinned import Thinned


class Unfinished:
    """forgotten_bytes: how many bytes were in what was too long, ever."""

    __slots__ = ("_bytes", "_bytes_max", "_thinned", "forgotten_bytes")

    def __init__(self, bytes_max: int) -> None:
        self._bytes = bytearray()
        self._bytes_max = bytes_max
        self._thinned: Thinned | None = None
        self.forgotten_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._bytes) or self._thinned is not None

    def add(self, data: bytes) -> None:
        """The bound is asked before the bytes are taken, so that one huge piece is no exception to it."""
        if self._thinned is None and len(self._bytes) + len(data) <= self._bytes_max:
            self._bytes += data
            return
        if self._thinned is None:
            self._thinned = Thinned(self._bytes_max)
            self._thin(bytes(self._bytes))
            self._bytes = bytearray()  # clear() would keep the memory
        self._thin(data)

    def _thin(self, data: bytes) -> None:
        assert self._thinned is not None
        self._thinned.feed(data)
        self.forgotten_bytes += len(data)

    def forget(self) -> None:
        """What was added since the last time."""
        self.forgotten_bytes += len(self._bytes)
        self.take()

    def take(self) -> bytes:
        """All that was added since the last time, or what is left of it; empty where that is too much."""
        whole = bytes(self._bytes) if self._thinned is None else self._thinned.take()
        self._bytes = bytearray()
        self._thinned = None
        return whole
