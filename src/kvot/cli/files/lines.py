"""The lines of a text file, a block at a time, each with its number. Bounded whatever the file holds.

A line that is not UTF-8, or longer than any row could be, becomes a refusal; the lines around it are unharmed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from kvot.operations.imports import Refusal

LINE_LENGTH_MAX = 65_536
"""Characters in a line. A row of usage takes some hundreds; an endless line must not fill the memory."""

BLOCK_BYTES = 1 << 17
"""Read at a time: some 2,000 rows, whose values and columns stay in a core's cache until they are events."""

BLOCK_LINES_MAX = 10_000
"""Lines in one block, however short they are."""

_BYTES_PER_CHARACTER_MAX = 4
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines without their ends; `numbers` count from one."""

    numbers: Sequence[int]
    lines: list[str]
    refusals: list[Refusal] = field(default_factory=list)


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """Every line of the file, in order, an unfinished last one included."""
    number, rest, overlong = 1, b"", False
    while data := file.read(BLOCK_BYTES):
        if number == 1 and not rest:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        whole, newline, rest_of_data = data.rpartition(b"\n")
        if not newline:
            rest += data
            if len(rest) > LINE_LENGTH_MAX * _BYTES_PER_CHARACTER_MAX:
                rest, overlong = b"", True  # forget the line's bytes, but not that it is there
            continue
        raw_lines = (rest + whole).split(b"\n") if overlong else None
        block = _overlong_first(number, raw_lines) if raw_lines else _decode(number, rest + whole)
        number += whole.count(b"\n") + 1
        rest, overlong = rest_of_data, False
        yield from _portions(block)
    if rest or overlong:
        block = _overlong_first(number, [rest]) if overlong else _decode(number, rest)
        yield from _portions(block)


def _portions(block: Block) -> Iterator[Block]:
    """The block in parts of at most BLOCK_LINES_MAX lines; its refusals go with the first."""
    refusals = block.refusals
    for first in range(0, max(1, len(block.lines)), BLOCK_LINES_MAX):
        end = first + BLOCK_LINES_MAX
        yield Block(block.numbers[first:end], block.lines[first:end], refusals)
        refusals = []


def _decode(first: int, data: bytes) -> Block:
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return _line_by_line(first, data.split(b"\n"))
    if max(map(len, lines)) > LINE_LENGTH_MAX:
        return _line_by_line(first, data.split(b"\n"))
    return Block(range(first, first + len(lines)), lines)


def _line_by_line(first: int, raw_lines: list[bytes]) -> Block:
    block = Block(numbers := [], [])
    for number, raw in enumerate(raw_lines, first):
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            message = f"Byte {error.start + 1} of the line is not UTF-8."
            block.refusals.append(Refusal(number, None, "InvalidUtf8", message))
            continue
        if len(line) > LINE_LENGTH_MAX:
            block.refusals.append(_overlong(number))
        else:
            numbers.append(number)
            block.lines.append(line)
    return block


def _overlong_first(first: int, raw_lines: list[bytes]) -> Block:
    """A block whose first line is the end of one that was already too long."""
    block = _line_by_line(first + 1, raw_lines[1:])
    block.refusals.insert(0, _overlong(first))
    return block


def _overlong(number: int) -> Refusal:
    return Refusal(number, None, "LineTooLong", f"The line is longer than {LINE_LENGTH_MAX:,} characters.")
