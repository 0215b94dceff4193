"""Rows that say no time. In a history they would all count as now, which nobody means who does not say so: they are
refused unless the command line says when they count."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from kvot.operations.imports import Refusal, Rows

NOW = 0
"""When rows count that are to count as now: the ledger's own clock says when that is, so that a row which is imported
again is still the same. No instant is zero."""

_MESSAGE = "The row says no time: name its column with --map at=COLUMN, or say with --at when such rows count."


def with_times(rows: Rows, at_ms: int | None) -> tuple[Rows, list[Refusal]]:
    """The rows with times, and the refusals of those that have none. `at_ms`: when these count; None: never."""
    if at_ms == NOW or not rows.event_ids or (rows.at_ms is not None and None not in rows.at_ms):
        return rows, []
    times: Sequence[int | None] = rows.at_ms or [None] * len(rows.event_ids)
    if at_ms is not None:
        return replace(rows, at_ms=[at_ms if each is None else each for each in times]), []
    kept = [index for index, each in enumerate(times) if each is not None]
    refused = zip(rows.positions, rows.event_ids, times, strict=True)
    return _at(rows, kept), [Refusal(place, id_, "NoTime", _MESSAGE) for place, id_, each in refused if each is None]


def _at(rows: Rows, indexes: Sequence[int]) -> Rows:
    columns: dict[str, Any] = {each.name: getattr(rows, each.name) for each in fields(rows)}
    picked = {name: [column[i] for i in indexes] for name, column in columns.items() if column is not None}
    return replace(rows, **picked)
