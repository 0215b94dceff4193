"""The beginning of a line, an event or an element whose end has not come. What no bound would hold is forgotten."""


class Unfinished:
    """Over the bound it keeps nothing, but knows until `take` that there was too much.

    forgotten_bytes: how many bytes were let go, ever.
    """

    __slots__ = ("_bytes", "_bytes_max", "_is_too_long", "forgotten_bytes")

    def __init__(self, bytes_max: int) -> None:
        self._bytes = bytearray()
        self._bytes_max = bytes_max
        self._is_too_long = False
        self.forgotten_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._bytes) or self._is_too_long

    def add(self, data: bytes) -> None:
        """The bound is asked before the bytes are taken, so that one huge piece is no exception to it."""
        if self._is_too_long or len(self._bytes) + len(data) > self._bytes_max:
            self._is_too_long = True
            self.forgotten_bytes += len(self._bytes) + len(data)
            self._bytes = bytearray()  # clear() would keep the memory
        else:
            self._bytes += data

    def take(self) -> bytes:
        """All that was added since the last time; empty where it was too much."""
        whole = bytes(self._bytes)
        self._bytes = bytearray()
        self._is_too_long = False
        return whole
