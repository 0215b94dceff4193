"""Rows as a file has them, by field, and their way into rows to import."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvot.cli.files.values import CONVERSIONS, Unfit
from kvot.operations.imports import Place, Refusal, Rows

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
    """Columns by field, all as long as `numbers`, which say where the rows stand; and the lines that are no rows.

    `ordinals` are what ids are made of that rows do not have; where they are None, lines are.
    """

    numbers: Sequence[Place]
    columns: Mapping[str, Sequence[Any]]
    refusals: list[Refusal]
    ordinals: Sequence[int] | None = None


def to_rows(raw: RawRows, ids_of: Callable[[Sequence[Place]], list[str]]) -> tuple[Rows, list[Refusal]]:
    """Rows to import, and the refusals of the lines that are none. A row without an id gets that of its place."""
    places: Sequence[Place] = raw.ordinals or raw.numbers
    numbers, refusals = raw.numbers, raw.refusals
    try:
        columns = {name: CONVERSIONS[name][0](name, column) for name, column in raw.columns.items()}
    except Unfit:
        numbers, places, columns, refusals = _row_by_row(raw, places)
    event_ids = columns.pop("id", None)
    if event_ids is None or None in event_ids:
        of_places = ids_of(places)
        event_ids = of_places if event_ids is None else [a or b for a, b in zip(event_ids, of_places, strict=True)]
    named = {_ROWS_NAMES.get(name, name): column for name, column in columns.items()}
    return Rows(numbers, event_ids, **named), refusals


def _row_by_row(
    raw: RawRows, all_places: Sequence[Place]
) -> tuple[list[Place], list[Place], dict[str, Sequence[Any]], list[Refusal]]:
    numbers: list[Place] = []
    places: list[Place] = []
    rows: list[list[Any]] = []
    refusals = list(raw.refusals)
    names = list(raw.columns)
    for number, place, *values in zip(raw.numbers, all_places, *raw.columns.values(), strict=True):
        try:
            rows.append([CONVERSIONS[name][1](name, value) for name, value in zip(names, values, strict=True)])
            numbers.append(number)
            places.append(place)
        except Unfit as unfit:
            refusals.append(Refusal(number, None, unfit.code, unfit.message))
    columns: dict[str, Sequence[Any]] = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    return numbers, places, columns, refusals
