"""CSV: a header of member names in PascalCase, then one row per value, with CRLF. What nests stands in JSV.

Cells are the values and nothing else: a text that a spreadsheet would take for a formula is not changed, since
programs read these bytes and the contract has none added. An empty cell is a missing value, in both directions.
"""

import csv
import io
import re
from functools import cache
from typing import Any

import msgspec

from kvot.contract.describe import MemberType, members_of
from kvot.wire import jsv
from kvot.wire.document import BrokenRow, Malformed, TooMany, text_of
from kvot.wire.plan import Part, Plan, Writer, Writers, no_moments
from kvot.wire.rows import Reply, is_listing, rows_of
from kvot.wire.style import Style

_MUST_QUOTE = re.compile(r'[",\r\n]|^[\[{]')
_NEVER_QUOTED = frozenset({"Int32", "Int64", "Boolean", "Guid", "DateTime"})
"""What is written with digits, letters and `:-.` alone."""


def write(reply: Reply, style: Style) -> bytes:
    text: str = _writers[type(reply)](reply)
    return text.encode()


def _make_writer(type_: Any) -> Writer:
    """A reply that is one row is written in one go, header and all."""
    if type_ is list or is_listing(type_):
        return _write_rows
    return _plan(type_, _header(type_)).write


_writers = Writers(_make_writer)


def _write_rows(reply: Any) -> str:
    row_type, rows = rows_of(reply)
    return _header(row_type) + "".join(map(_plan(row_type, "").write, rows))


def _header(row_type: type[msgspec.Struct]) -> str:
    names = ",".join(member.wire_name for member in members_of(row_type))
    return names and f"{names}\r\n"


@cache
def _plan(row_type: type[msgspec.Struct], header: str) -> Plan:
    none = no_moments(row_type)
    parts = [Part(each, "", _writer(each), "", "", none.get(each.name)) for each in members_of(row_type)]
    return Plan(header, parts, ",", "\r\n")


def _writer(member: MemberType) -> Writer:
    write = jsv.write_text if member.clr == "String" and not member.is_list else jsv.writer_of(member)
    if member.clr in _NEVER_QUOTED and not member.is_list:
        return write
    return lambda value: _quoted(write(value))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _MUST_QUOTE.search(text) else text


def read(body: bytes, members_max: int) -> list[Any]:
    """One document per row. A row with more cells than the header stands for itself, as text."""
    rows = csv.reader(io.StringIO(text_of(body), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if len({name.lower() for name in header}) < len(header):
            raise Malformed("A column comes more than once.")
        return _documents(header, rows, members_max)
    except csv.Error as error:
        raise Malformed(f"Line {rows.line_num}: {error}.") from None


def _documents(header: list[str], rows: Any, members_max: int) -> list[Any]:
    documents: list[Any] = []
    cells = 0
    for row in rows:
        cells += len(row)
        if cells > members_max:
            raise TooMany(members_max)
        if row:
            documents.append(_document(header, row))
    return documents


def _document(header: list[str], row: list[str]) -> Any:
    if len(row) > len(header):
        return BrokenRow(",".join(row), f"The row has {len(row)} cells, and the header {len(header)}.")
    return {name: cell for name, cell in zip(header, row, strict=False) if cell}
