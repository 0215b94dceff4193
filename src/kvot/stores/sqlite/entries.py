"""Many events as rows of the ledger, by column: `entry` for a batch. Values only; nothing here reads or writes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from kvot.stores.sqlite.connection import Column
from kvot.stores.sqlite.encoding import Key
from kvot.stores.sqlite.entry import EventRow


class Entries(NamedTuple):
    """Events as the table has them, by column: see `EventRow`. Those of one company stand together."""

    company_nos: Sequence[int]
    keys: Sequence[Key]
    at_ms: Sequence[int]
    tokens: Sequence[int]
    at_given: Column
    kind: Column
    source: Column
    label_set_nos: Column
    input_tokens: Column
    output_tokens: Column
    cached_tokens: Column
    reasoning_tokens: Column
    ref: Column = None
    reason: Column = None
    receipt: Column = None

    def rows(self) -> list[EventRow]:
        return list(zip(*map(every, self), strict=False))

    def shares(self) -> Iterator[tuple[int, slice]]:
        """The companies' numbers, and where their events are."""
        end = 0
        while end < len(self.company_nos):
            first, no = end, self.company_nos[end]
            end = bisect_right(self.company_nos, no, first)
            yield no, slice(first, end)


def by_company(entries: Entries) -> tuple[Sequence[int], Entries]:
    """The events of each company together, the companies by number; and where each event stood."""
    company_nos = entries.company_nos
    if company_nos.count(company_nos[0]) == len(company_nos):
        return range(len(company_nos)), entries
    order = sorted(range(len(company_nos)), key=company_nos.__getitem__)
    take = itemgetter(*order)
    columns: list[Any] = [list(take(column)) if isinstance(column, Sequence) else column for column in entries]
    return order, Entries(*columns)


def every(column: Any) -> Iterable[Any]:
    """The values of a column, without end where it is one for all."""
    return repeat(column) if column is None or isinstance(column, int) else column
