"""Rows as a file has them, by field, and their way into rows to import."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvot.cli.files.values import CONVERSIONS, Unfit
from kvot.operations.imports import Refusal, Rows

_ROWS_NAMES = {
    "id": "event_ids",
    "at": "at_ms",
    "company": "company_ids",
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cached_tokens",
    "reasoning": "reasoning_tokens",
}
"""What a field is called in `Rows`, where that is not its own name."""


@dataclass(frozen=True, slots=True)
class RawRows:
    """Columns by field, all as long as `numbers`, which are the rows' lines; and the lines that are no rows."""

    numbers: Sequence[int]
    columns: Mapping[str, Sequence[Any]]
    refusals: list[Refusal]


def to_rows(raw: RawRows, ids_of_lines: Callable[[Sequence[int]], list[str]]) -> tuple[Rows, list[Refusal]]:
    """Rows to import, and the refusals of the lines that are none. A row without an id gets that of its line."""
    numbers, refusals = raw.numbers, raw.refusals
    try:
        columns = {name: CONVERSIONS[name][0](name, column) for name, column in raw.columns.items()}
    except Unfit:
        numbers, columns, refusals = _row_by_row(raw)
    event_ids = columns.pop("id", None)
    if event_ids is None or None in event_ids:
        of_lines = ids_of_lines(numbers)
        event_ids = of_lines if event_ids is None else [a or b for a, b in zip(event_ids, of_lines, strict=True)]
    named = {_ROWS_NAMES.get(name, name): column for name, column in columns.items()}
    return Rows(numbers, event_ids, **named), refusals


def _row_by_row(raw: RawRows) -> tuple[list[int], dict[str, Sequence[Any]], list[Refusal]]:
    numbers: list[int] = []
    rows: list[list[Any]] = []
    refusals = list(raw.refusals)
    names = list(raw.columns)
    for number, *values in zip(raw.numbers, *raw.columns.values(), strict=True):
        try:
            rows.append([CONVERSIONS[name][1](name, value) for name, value in zip(names, values, strict=True)])
            numbers.append(number)
        except Unfit as unfit:
            refusals.append(Refusal(number, None, unfit.code, unfit.message))
    columns: dict[str, Sequence[Any]] = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    return numbers, columns, refusals
