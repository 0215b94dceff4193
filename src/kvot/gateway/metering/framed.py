"""Meters for streams of lines or of an array's elements. They pass as they come."""

from typing import Protocol

from kvot.gateway.metering.reader import Figures, ReaderMeter


class Frames(Protocol):
    """Finds whole documents in pieces: LineReader, ElementReader.

    forgotten_bytes: in those that were too long to be kept, or cut.
    """

    def feed(self, data: bytes) -> list[bytes]: ...

    def finish(self) -> list[bytes]: ...

    @property
    def forgotten_bytes(self) -> int: ...


class DocumentReader(Figures, Protocol):
    """Reads the documents of one dialect's stream. It takes any bytes."""

    def read_document(self, document: bytes) -> None: ...


class FramedMeter(ReaderMeter):
    def __init__(self, frames: Frames, reader: DocumentReader) -> None:
        super().__init__(reader)
        self._frames = frames
        self._documents = reader

    def feed(self, data: bytes) -> bytes:
        self._read(self._frames.feed(data))
        return data

    def finish(self) -> bytes:
        self._read(self._frames.finish())
        return b""

    def _read(self, documents: list[bytes]) -> None:
        for document in documents:
            if not self._documents.is_over:
                self._documents.read_document(document)

    @property
    def output_bytes(self) -> int:
        """What could not be read counts whole: more than the content, never less."""
        return super().output_bytes + self._frames.forgotten_bytes
