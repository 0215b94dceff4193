"""One answer of a dialect, before faults and framing: pure bytes."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

SSE = b"text/event-stream"
JSON = b"application/json"
NDJSON = b"application/x-ndjson"

ARGUMENTS = {"city": "Malmö"}
"""Of a tool that is called."""
ARGUMENT_PIECES = ('{"ci', 'ty":"Mal', 'mö"}')
"""The same as a stream tells them: no piece is JSON by itself."""


class Answer(NamedTuple):
    """`pieces` are the body; what must be told apart in it is named by its place.

    usage_at: the piece that tells the final usage. content_at: the first that holds text, which an endless stream
    repeats. error: what a stream of this dialect says when it fails half-way, or a plain reply in place of its body;
    error_alone: where it fails before anything else, if that is another.
    """

    content_type: bytes
    pieces: Sequence[bytes]
    error: bytes
    is_stream: bool = False
    usage_at: int = 0
    content_at: int = 0
    broken: bytes = b'{"broken": '
    error_alone: bytes = b""


class Problem(NamedTuple):
    """An error of the dialect."""

    status: int
    body: bytes
    content_type: bytes = JSON


def encode(value: Any) -> bytes:
    """The standard library's JSON: it writes integers of any size, as a huge usage needs."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(data: Any, name: str | None = None) -> bytes:
    """One event of SSE."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + encode(data) + b"\n\n"


def plain(value: Any, error: Any) -> Answer:
    return Answer(JSON, [encode(value)], encode(error))


def stream(pieces: Sequence[bytes], error: bytes, *, usage_at: int, content_at: int) -> Answer:
    return Answer(SSE, pieces, error, True, usage_at, content_at, b'data: {"broken": \n\n')
