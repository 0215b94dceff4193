"""A file of usage as batches of rows to import, whatever its format."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kvot.cli.files.fields import NotMapped, columns_of
from kvot.cli.files.lines import Block, read_blocks
from kvot.cli.files.objects import read_array, read_lines
from kvot.cli.files.raw import RawRows, to_rows
from kvot.cli.files.tables import Table
from kvot.operations.imports import Place, Refusal, Rows

ID_PREFIX_LENGTH = 16
"""Hexadecimal digits of the file's hash that lead the ids of its lines: 64 bits keep files of one company apart."""

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED_BYTES = 4_096


class UnreadableFile(Exception):
    """The file as a whole is nothing that can be imported."""


class FileBatch(NamedTuple):
    """Rows in the order of the file, with where they stand in it. `end_byte`: how much was read by then."""

    rows: Rows
    refusals: list[Refusal]
    end_byte: int


class UsageFile:
    """One file. Reading it again gives the same rows with the same ids, so that importing it again counts nothing."""

    def __init__(self, path: Path, mapping: Mapping[str, str]) -> None:
        self.path = path
        self.mapping = mapping
        self.bytes = path.stat().st_size

    def batches(self) -> Iterator[FileBatch]:
        """Raises UnreadableFile, NotMapped, or OSError."""
        with self.path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
            if start.startswith(_UTF_16_MARKS):
                raise UnreadableFile("The file is UTF-16: save it as UTF-8.")
            file.seek(0)
            for raw in self._raw_rows(file, start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]):
                rows, refusals = to_rows(raw, self._ids_of)
                yield FileBatch(rows, refusals, file.tell())

    def _raw_rows(self, file: BinaryIO, first_character: bytes) -> Iterator[RawRows]:
        if first_character == b"[":
            return read_array(file, self.mapping)
        blocks = read_blocks(file)
        if first_character == b"{":
            return (read_lines(block, self.mapping) for block in blocks)
        return _read_table(blocks, self.mapping)

    def _ids_of(self, places: Sequence[Place]) -> list[str]:
        prefix = self._hash
        return [f"{prefix}:{place}" for place in places]

    @cached_property
    def _hash(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:ID_PREFIX_LENGTH]


def _read_table(blocks: Iterator[Block], mapping: Mapping[str, str]) -> Iterator[RawRows]:
    first = next(blocks, None)
    if first is None or not first.lines or not first.lines[0].strip():
        raise UnreadableFile("The file does not begin with a header.")
    try:
        table = Table(first.lines[0])
        table.columns = columns_of(table.header, mapping)
    except (csv.Error, NotMapped) as error:
        raise UnreadableFile(f"The header cannot be used: {error}") from error
    rest = Block(first.numbers[1:], first.lines[1:], first.refusals)
    return map(table.read, chain([rest], blocks))
