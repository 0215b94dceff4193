"""JSON: an object per line, or one array of objects. An array is read element by element, never whole."""

import codecs
import json
from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import Any, BinaryIO

import msgspec

from kvot.cli.files.fields import names_of
from kvot.cli.files.lines import BLOCK_BYTES, BLOCK_LINES_MAX, LINE_LENGTH_MAX, Block
from kvot.cli.files.raw import RawRows
from kvot.operations.imports import Refusal

_DECODER = msgspec.json.Decoder(dict[str, Any])


def read_lines(block: Block, mapping: Mapping[str, str]) -> RawRows:
    try:
        objects = _DECODER.decode_lines("\n".join(block.lines))
    except msgspec.DecodeError:
        objects = []
    if len(objects) != len(block.lines):  # a bad line, or a blank one
        return _line_by_line(block, mapping)
    return RawRows(block.numbers, _columns(objects, mapping), list(block.refusals))


def _line_by_line(block: Block, mapping: Mapping[str, str]) -> RawRows:
    numbers: list[int] = []
    objects: list[dict[str, Any]] = []
    refusals = list(block.refusals)
    for number, line in zip(block.numbers, block.lines, strict=True):
        if not line.strip():
            continue
        try:
            objects.append(_DECODER.decode(line))
            numbers.append(number)
        except msgspec.DecodeError as error:
            refusals.append(Refusal(number, None, "InvalidJson", f"The line is no JSON object ({error})."))
    return RawRows(numbers, _columns(objects, mapping), refusals)


def _columns(objects: list[dict[str, Any]], mapping: Mapping[str, str]) -> dict[str, list[Any]]:
    """By field. An object that has several names of a field gives the first of them that is not null."""
    names = names_of({key for each in objects for key in each}, mapping)
    columns = {}
    for field, keys in names.items():
        if len(keys) == 1:
            columns[field] = [each.get(keys[0]) for each in objects]
        elif keys:
            columns[field] = [next((each[key] for key in keys if each.get(key) is not None), None) for each in objects]
    return columns


# -- an array ----------------------------------------------------------------------------------------------------------


class _Array:
    """The text of an array as far as it has been read, and where in it the next element begins."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._to_text = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._place = 0
        self.line = 1

    def skip(self, expected: str) -> str:
        """Pass over blanks and one of the character expected; the character that is next, "" at the end."""
        while True:
            while self._place < len(self._text) and (next_ := self._text[self._place]) in f" \t\r\n{expected}":
                self.line += next_ == "\n"
                expected = "" if next_ == expected else expected
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_on():
                return ""

    def element(self) -> Any:
        """The element that begins here. Raises ValueError when there is none, or none within bounds."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except ValueError:
                if len(self._text) - self._place > LINE_LENGTH_MAX or not self._read_on():
                    raise
                continue
            self.line += self._text.count("\n", self._place, end)
            self._place = end
            return value

    def _read_on(self) -> bool:
        """False at the end of the file."""
        data = self._file.read(BLOCK_BYTES)
        self._text = self._text[self._place :] + self._to_text.decode(data, final=not data)
        self._place = 0
        return bool(data)


def read_array(file: BinaryIO, mapping: Mapping[str, str]) -> Iterator[RawRows]:
    """Rows in batches. What follows a fault of syntax cannot be told from it: one refusal speaks for the rest."""
    refusals: list[Refusal] = []
    elements = _elements(_Array(file), refusals)
    while portion := list(islice(elements, BLOCK_LINES_MAX)):
        rows = [(place, each) for place, each in portion if isinstance(each, dict)]
        refusals += [_no_object(place) for place, each in portion if not isinstance(each, dict)]
        columns = _columns([each for _, each in rows], mapping)
        yield RawRows([place for place, _ in rows], columns, refusals.copy(), [ordinal for (_, ordinal), _ in rows])
        refusals.clear()
    yield RawRows([], {}, refusals)


def _no_object(place: tuple[int, int]) -> Refusal:
    return Refusal(place, None, "InvalidJson", "The element is no object.")


def _elements(array: _Array, refusals: list[Refusal]) -> Iterator[tuple[tuple[int, int], Any]]:
    """Each element with the line that it begins on and its number, from one."""
    place = (1, 1)
    try:
        character = array.skip("[")
        for ordinal in count(1):
            place = (array.line, ordinal)
            if character in ("]", ""):
                break
            yield place, array.element()
            character = array.skip(",")
    except ValueError as error:  # JSON's and UTF-8's faults alike
        message = f"The array cannot be read on from here ({error})."
        refusals.append(Refusal(place, None, "InvalidJson", message))
        return
    if not character:
        refusals.append(Refusal(place, None, "InvalidJson", "The array does not end."))
