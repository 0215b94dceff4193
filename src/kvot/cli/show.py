"""Printing. What was asked for goes to standard output, as text for people or as JSON for programs; all else to
standard error. Colour only where a person is looking."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kvot.contract.describe import Instant
from kvot.core.errors import FieldError
from kvot.settings import wants_no_colour
from kvot.wire.scalars import shortest_date

_GREEN, _YELLOW, _RED, _DIM, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def number(value: int) -> str:
    return f"{value:,}"


def moment(instant: Instant | None) -> str:
    """UTC, to the second: `2026-11-22 08:30:00 UTC`."""
    if instant is None:
        return "-"
    date, _, clock = shortest_date(instant.ms).partition("T")
    return f"{date} {clock[:8] or '00:00:00'} UTC"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def excess(part: int, whole: int) -> str:
    return number(max(0, part - whole))


def good(text: str) -> str:
    return _coloured(_GREEN, text)


def doubtful(text: str) -> str:
    return _coloured(_YELLOW, text)


def bad(text: str) -> str:
    return _coloured(_RED, text)


def faint(text: str) -> str:
    return _coloured(_DIM, text)


def _coloured(colour: str, text: str) -> str:
    return f"{colour}{text}{_PLAIN}" if sys.stdout.isatty() and not wants_no_colour(os.environ) else text


def lines(pairs: Iterable[tuple[str, str]]) -> None:
    """A label and a value a line, the values aligned."""
    pairs = list(pairs)
    width = max(len(label) for label, _ in pairs)
    for label, value in pairs:
        print(f"{label:<{width}}  {value}".rstrip())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Columns aligned, those of `right` to the right. Labels are what callers say: no terminal is to obey them."""
    rows = [[_harmless(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in (header, *rows)) for index in range(len(header))]
    rights = set(right)
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if index in rights else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        print(faint(line) if row is header else line)


def _harmless(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def document(value: Any) -> None:
    """One JSON document on one line. Instants are ISO 8601, UTC."""
    sys.stdout.buffer.write(msgspec.json.encode(value, enc_hook=_to_json) + b"\n")
    sys.stdout.buffer.flush()


def _to_json(value: object) -> object:
    if isinstance(value, Instant):
        return shortest_date(value.ms)
    raise TypeError(type(value).__name__)


def note(text: str) -> None:
    """Something to know that is not what was asked for."""
    print(text, file=sys.stderr)


def failure(code: str, message: str, fields: Sequence[FieldError], *, as_json: bool) -> None:
    """What went wrong: on standard error for people, as the one document for programs."""
    if as_json:
        errors = [{"errorCode": each.code, "fieldName": each.field, "message": each.message} for each in fields]
        document({"responseStatus": {"errorCode": code, "message": message, "errors": errors}})
        return
    note(f"kvot: {message}")
    for each in fields:
        if each.message != message:
            note(f"  {each.field}: {each.message}")
