"""Bodies that a provider compressed although it was asked not to: read again, within bounds, for the meter's sake."""

import zlib
from collections.abc import Iterator

from kvot.gateway.upstream.port import UpstreamFailed, UpstreamPacked

_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}

PIECE_BYTES_MAX = 65_536
RATIO_MAX = 100
"""Replies of models compress to a fifth, repeated ones to a thirtieth; the format itself allows 1,032."""
SMALL_BYTES = 1_000_000
"""Up to here any ratio is harmless."""


def can_unpack(encoding: bytes) -> bool:
    return encoding in _WINDOWS


class Unpacker:
    """Turns compressed bytes into plain ones, never more than PIECE_BYTES_MAX at once. Raises UpstreamFailed, and
    UpstreamPacked for bytes that are not in the encoding that they are said to be, which is one that it can unpack."""

    def __init__(self, encoding: bytes) -> None:
        self._encoding = encoding
        self._window = _WINDOWS[encoding]
        self._unpacker = zlib.decompressobj(self._window)
        self._bytes_in = 0
        self._bytes_out = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._bytes_in += len(data)
        while data:
            piece, data = self._next(data)
            self._bytes_out += len(piece)
            if self._bytes_out > max(SMALL_BYTES, RATIO_MAX * self._bytes_in):
                raise UpstreamFailed("the provider's compressed reply is a bomb", was_sent=True)
            if piece:
                yield piece

    def finish(self) -> None:
        """The body is at its end: raises if the compressed data is not."""
        if self._bytes_in and not self._unpacker.eof:
            raise UpstreamFailed("the provider's compressed reply broke off", was_sent=True)

    def _next(self, data: bytes) -> tuple[bytes, bytes]:
        if self._unpacker.eof:  # gzip may hold several members, one behind the other
            self._unpacker = zlib.decompressobj(self._window)
        try:
            piece = self._unpacker.decompress(data, PIECE_BYTES_MAX)
        except zlib.error as error:
            raise UpstreamPacked(self._encoding) from error
        return piece, self._unpacker.unconsumed_tail or self._unpacker.unused_data
