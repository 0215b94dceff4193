"""Ways of cutting the bytes of a stream, and what passes through a meter that is fed the pieces."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from kvot.gateway.dialect import Meter
from kvot.gateway.tokens import Reported


class Passed(NamedTuple):
    """All that anybody learns of a reply."""

    sent: bytes
    reported: Reported | None
    output_bytes: int
    has_failed: bool
    model: str | None
    request_id: str | None
    is_over: bool


def passed(meter: Meter, pieces: Sequence[bytes]) -> Passed:
    sent = b"".join([meter.feed(piece) for piece in pieces] + [meter.finish()])
    return Passed(
        sent, meter.reported, meter.output_bytes, meter.has_failed, meter.model, meter.request_id, meter.is_over
    )


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def every_single_cut(stream: bytes) -> Iterator[list[bytes]]:
    return ([stream[:at], stream[at:]] for at in range(len(stream) + 1))


def byte_by_byte(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]
