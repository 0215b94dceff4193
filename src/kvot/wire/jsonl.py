"""JSON Lines, as bodies that fill a list. A line that cannot be read does not spoil the others."""

from typing import Any

from kvot.wire import json
from kvot.wire.document import Malformed


def read(body: bytes, members_max: int) -> list[Any]:
    """One document per line that is not blank. A line that is none stands for itself, as text."""
    return [_line(line, members_max) for line in body.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]


def _line(line: bytes, members_max: int) -> Any:
    try:
        return json.read(line, members_max)
    except Malformed:
        return line.decode("utf-8", "replace")
