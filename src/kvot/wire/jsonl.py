"""JSON Lines: one JSON document per line. Read, a line that is none does not spoil the others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kvot.wire import json
from kvot.wire.document import BrokenRow, Malformed, TooMany
from kvot.wire.plan import Writers
from kvot.wire.rows import Reply, is_listing, rows_of
from kvot.wire.style import Style


def write(reply: Reply, style: Style) -> bytes:
    """One line per row. Indented it would be no JSON Lines any more, so that wish is not met."""
    if style.is_plain_json:
        lines: bytes = _writers[type(reply)](reply)
        return lines
    if style.is_indented:
        style = replace(style, is_indented=False)
    return b"".join([json.write(row, style) + b"\n" for row in rows_of(reply)[1]])


def _make_writer(type_: Any) -> Callable[[Any], bytes]:
    if type_ is list or is_listing(type_):
        return lambda reply: json.write_lines(rows_of(reply)[1])
    return lambda reply: json.write_lines((reply,))


_writers = Writers(_make_writer)


def read(body: bytes, members_max: int) -> list[Any]:
    """One document per line that is not blank. A line that is none stands for itself, as text."""
    if body.count(b"\n") > members_max:
        raise TooMany(members_max)
    return [_line(line, members_max) for line in body.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]


def _line(line: bytes, members_max: int) -> Any:
    try:
        return json.read(line, members_max)
    except Malformed as error:
        return BrokenRow(line.decode("utf-8", "replace"), str(error))
