"""Adding a batch of events to the rollup."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from kvot.core.window import MS_PER_HOUR
from kvot.stores.sqlite.connection import Column, Tx
from kvot.stores.sqlite.entries import Entries, every
from kvot.stores.sqlite.lines import Key, put

_Lines = defaultdict[Key, list[int]]
"""Events, tokens, input and output tokens."""


def add(tx: Tx, entries: Entries) -> None:
    lines: _Lines = defaultdict(lambda: [0, 0, 0, 0])
    for no, share in entries.shares():
        columns: list[Any] = [each if each is None or isinstance(each, int) else each[share] for each in entries]
        mine = Entries(*columns)
        if isinstance(mine.label_set_nos, int) and isinstance(mine.source, int) and sorted(mine.at_ms) == mine.at_ms:
            _add_hours(lines, no, mine, mine.label_set_nos, mine.source)
        else:
            _add_each(lines, no, mine)
    put(tx, lines)


def _add_hours(lines: _Lines, no: int, entries: Entries, label_set_no: int, source: int) -> None:
    """Where nothing but the time differs, and that in order, an hour is a slice."""
    at_ms, tokens = entries.at_ms, entries.tokens
    input_tokens, output_tokens = _numbers(entries.input_tokens), _numbers(entries.output_tokens)
    end = 0
    while end < len(at_ms):
        first, hour = end, at_ms[end] // MS_PER_HOUR
        end = bisect_left(at_ms, (hour + 1) * MS_PER_HOUR, first)
        here = slice(first, end)
        line = [end - first, sum(tokens[here]), sum(input_tokens[here]), sum(output_tokens[here])]
        lines[no, hour, label_set_no, source] = line


def _numbers(column: Column) -> Sequence[int]:
    """A column to be summed: nothing where no event says."""
    if column is None or isinstance(column, int):
        return ()
    return [each or 0 for each in column] if None in column else column


def _add_each(lines: _Lines, no: int, entries: Entries) -> None:
    columns = (entries.label_set_nos, entries.source, entries.tokens, entries.input_tokens, entries.output_tokens)
    for at_ms, number, source, tokens, input_tokens, output_tokens in zip(
        entries.at_ms, *map(every, columns), strict=False
    ):
        line = lines[no, at_ms // MS_PER_HOUR, number, source]
        line[0] += 1
        line[1] += tokens
        line[2] += input_tokens or 0
        line[3] += output_tokens or 0
