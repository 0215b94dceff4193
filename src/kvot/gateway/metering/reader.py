"""What a dialect's reader of a stream has learned so far, and a meter's telling of it."""

from typing import Protocol

from kvot.gateway.receipt import Told
from kvot.gateway.tokens import Reported


class Figures(Protocol):
    """The same that a `Meter` tells: see there."""

    reported: Reported | None
    output_bytes: int
    has_failed: bool
    is_over: bool
    model: str | None
    request_id: str | None

    @property
    def told(self) -> Told: ...


class ReaderMeter:
    """The part of a meter that asks its reader."""

    def __init__(self, reader: Figures) -> None:
        self._reader = reader

    @property
    def reported(self) -> Reported | None:
        return self._reader.reported

    @property
    def output_bytes(self) -> int:
        return self._reader.output_bytes

    @property
    def has_failed(self) -> bool:
        return self._reader.has_failed

    @property
    def is_over(self) -> bool:
        return self._reader.is_over

    @property
    def model(self) -> str | None:
        return self._reader.model

    @property
    def request_id(self) -> str | None:
        return self._reader.request_id

    @property
    def told(self) -> Told:
        return self._reader.told
