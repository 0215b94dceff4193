"""CSV: a header, then one row per line. A line break inside quotes is refused, so that a quote that is never closed
costs one line and not the rest of the file."""

import csv

from kvot.cli.files.lines import Block
from kvot.cli.files.raw import RawRows
from kvot.operations.imports import Refusal

DELIMITERS = ",;\t"


class Table:
    """A table whose header has been read. `columns` are the indexes of the fields in it."""

    def __init__(self, header_line: str) -> None:
        self.delimiter = max(DELIMITERS, key=header_line.count)
        self.header = [name.strip() for name in self._parse_line(header_line)]
        self.columns: dict[str, int] = {}

    def read(self, block: Block) -> RawRows:
        rows = self._parse_block(block.lines)
        if rows is None or {*map(len, rows)} - {len(self.header)}:
            return self._line_by_line(block)
        columns = list(zip(*rows, strict=True))
        picked = {name: columns[index] for name, index in self.columns.items()} if columns else {}
        return RawRows(block.numbers, picked, list(block.refusals))

    def _parse_block(self, lines: list[str]) -> list[list[str]] | None:
        """One row per line, or None where quotes do not close on their line."""
        try:
            rows = list(csv.reader(lines, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        return rows if len(rows) == len(lines) else None

    def _parse_line(self, line: str) -> list[str]:
        return next(csv.reader([line], delimiter=self.delimiter, strict=True), [])

    def _line_by_line(self, block: Block) -> RawRows:
        numbers: list[int] = []
        rows: list[list[str]] = []
        refusals = list(block.refusals)
        for number, line in zip(block.numbers, block.lines, strict=True):
            row = self._row(number, line, refusals)
            if row:
                numbers.append(number)
                rows.append(row)
        picked = {name: [row[index] for row in rows] for name, index in self.columns.items()}
        return RawRows(numbers, picked, refusals)

    def _row(self, number: int, line: str, refusals: list[Refusal]) -> list[str] | None:
        try:
            row = self._parse_line(line)
        except csv.Error as error:
            refusals.append(Refusal(number, None, "InvalidCsv", f"The line's quotes do not pair up ({error})."))
            return None
        if not row or len(row) == len(self.header):
            return row
        code = "TooFewColumns" if len(row) < len(self.header) else "TooManyColumns"
        message = f"The line has {len(row)} columns, the header {len(self.header)}."
        refusals.append(Refusal(number, None, code, message))
        return None
