"""Meters for streams of lines or of an array's elements. They pass as they come."""

from typing import Protocol

from kvot.gateway.tokens import Reported


class Frames(Protocol):
    """Finds whole documents in pieces: LineReader, ElementReader.

    forgotten_bytes: in those that were too long to be kept, or cut.
    """

    def feed(self, data: bytes) -> list[bytes]: ...

    def finish(self) -> list[bytes]: ...

    @property
    def forgotten_bytes(self) -> int: ...


class DocumentReader(Protocol):
    """Reads the documents of one dialect's stream. It takes any bytes."""

    reported: Reported | None
    output_bytes: int
    has_failed: bool
    model: str | None
    request_id: str | None

    def read_document(self, document: bytes) -> None: ...


class FramedMeter:
    def __init__(self, frames: Frames, reader: DocumentReader) -> None:
        self._frames = frames
        self._reader = reader

    def feed(self, data: bytes) -> bytes:
        for document in self._frames.feed(data):
            self._reader.read_document(document)
        return data

    def finish(self) -> bytes:
        for document in self._frames.finish():
            self._reader.read_document(document)
        return b""

    @property
    def reported(self) -> Reported | None:
        return self._reader.reported

    @property
    def output_bytes(self) -> int:
        """What could not be read counts whole: more than the content, never less."""
        return self._reader.output_bytes + self._frames.forgotten_bytes

    @property
    def has_failed(self) -> bool:
        return self._reader.has_failed

    @property
    def model(self) -> str | None:
        return self._reader.model

    @property
    def request_id(self) -> str | None:
        return self._reader.request_id
