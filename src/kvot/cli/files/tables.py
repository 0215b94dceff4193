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
        columns = self._split(block.lines) or self._parse(block.lines)
        if columns is None:
            return self._line_by_line(block)
        return RawRows(block.numbers, {name: columns[i] for name, i in self.columns.items()}, list(block.refusals))

    def _split(self, lines: list[str]) -> list[list[str]] | None:
        """The columns of lines that have no quotes, in half the time that a parser takes; None if any has.

        Line ends become values of a column of their own: all stand in it if no line has too many values or too few.
        """
        width, end = len(self.header), f"{self.delimiter}\n{self.delimiter}"
        text = end.join(lines).replace(f"\r{end}", end).removesuffix("\r")
        if width == 1 or '"' in text or "\r" in text:  # of one column, a blank line would be a row
            return None
        values = text.split(self.delimiter)
        are_even = len(values) == (width + 1) * len(lines) - 1
        if not are_even or values[width :: width + 1].count("\n") < len(lines) - 1:
            return None
        return [values[index :: width + 1] for index in range(width)]

    def _parse(self, lines: list[str]) -> list[tuple[str, ...]] | None:
        """The columns, or None where quotes do not close on their line or a line has too many values or too few."""
        try:
            rows = list(csv.reader(lines, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        if len(rows) != len(lines) or {*map(len, rows)} - {len(self.header)}:
            return None
        return list(zip(*rows, strict=True)) or [()] * len(self.header)

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
