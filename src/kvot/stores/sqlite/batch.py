"""Recording thousands of events in one transaction, as if one by one, in order.

All events are taken for new at first and written together; only if some id shows to be taken, or some event is to be
refused, is the batch sorted out again with all ids looked up. Chain points, sidecar slots and rollup lines are summed
first and written once each. What is done for every row is done by C loops over columns where one will do it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from kvot.core.model import TOTAL_MAX, Kind, NewEvent, Source, Status
from kvot.core.window import MS_PER_HOUR
from kvot.stores.sqlite import chain, labels
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import KIND_NO, SOURCE_NO, Key, to_keys
from kvot.stores.sqlite.entry import INSERT, PUT_ROLLUP, EventRow, find, is_same
from kvot.stores.sqlite.events import refusal_of_time

_USAGE = KIND_NO[Kind.USAGE]
_INSERT_IF_FREE = f"{INSERT} ON CONFLICT DO NOTHING"

Count = tuple[int, int]
"""An instant and tokens at it."""


def record_many(tx: Tx, events: Sequence[tuple[str, NewEvent]], now_ms: int) -> list[Status]:
    if not events:
        return []
    company_ids, new_events = zip(*events, strict=True)
    companies = {company_id: begin(tx, company_id, now_ms) for company_id in dict.fromkeys(company_ids)}
    rows = _rows(tx, list(map(companies.__getitem__, company_ids)), new_events)
    counts = _counts(rows)
    statuses = [Status.DONE] * len(rows)
    if not (_none_is_refused(tx, companies.values(), counts) and _insert_if_free(tx, rows)):
        rows, statuses = _sort_out(tx, companies.values(), rows)
        counts = _counts(rows)
        tx.insert(INSERT, rows)
    for company in companies.values():
        chain.post_all(tx, company, counts[company.no])
        save(tx, company)
    _add_to_rollup(tx, rows)
    return statuses


def _rows(tx: Tx, companies: Sequence[Company], events: Sequence[NewEvent]) -> list[EventRow]:
    """What `entry.row_of` makes of each event, in a fraction of its time."""
    at_ms: Sequence[int]
    event_ids, tokens, at_ms, sources, details = zip(*events, strict=True)
    *who, input_tokens, output_tokens, cached_tokens, reasoning_tokens = zip(*details, strict=True)
    company_nos = [company.no for company in companies]
    given: Iterable[int] = repeat(1)
    if None in at_ms:
        given = [0 if each is None else 1 for each in at_ms]
        at_ms = [company.clock if each is None else each for company, each in zip(companies, at_ms, strict=True)]
    columns = (
        company_nos,
        to_keys(event_ids),
        at_ms,
        tokens,
        given,
        repeat(_USAGE),
        _source_nos(sources),
        map(_LabelSetNumbers(tx).__getitem__, zip(company_nos, *who, strict=True)),
        input_tokens,
        output_tokens,
        cached_tokens,
        reasoning_tokens,
        repeat(None),
        repeat(None),
    )
    return list(zip(*columns, strict=False))  # `strict` would ask what is repeated for its end


def _source_nos(sources: Sequence[Source]) -> Iterable[int]:
    """Mostly all are the same, and to look up an enum's member takes longer than to compare it."""
    if sources.count(sources[0]) == len(sources):
        return repeat(SOURCE_NO[sources[0]])
    return map(SOURCE_NO.__getitem__, sources)


class _LabelSetNumbers(dict[tuple[int, str | None, str | None, str | None, str | None], int]):
    """The numbers of the companies' combinations, each looked up when it is first met."""

    def __init__(self, tx: Tx) -> None:
        super().__init__()
        self._tx = tx

    def __missing__(self, key: tuple[int, str | None, str | None, str | None, str | None]) -> int:
        number = self[key] = labels.number_of(self._tx, key[0], key[1:])
        return number


def _counts(rows: list[EventRow]) -> dict[int, list[Count]]:
    """What each company's events count, by its number, in order."""
    counts: defaultdict[int, list[Count]] = defaultdict(list)
    for row in rows:
        counts[row[0]].append(row[2:4])
    return counts


def _none_is_refused(tx: Tx, companies: Iterable[Company], counts: dict[int, list[Count]]) -> bool:
    """Whether no event would be refused for its time or its tokens."""
    for company in companies:
        share = counts[company.no]
        if refusal_of_time(tx, company, min(share)[0]) or refusal_of_time(tx, company, max(share)[0]):
            return False
        if not company.has_room_for(sum([tokens for _, tokens in share])):
            return False
    return True


def _insert_if_free(tx: Tx, rows: list[EventRow]) -> bool:
    """Insert all rows; False, and none inserted, if any id is taken or comes twice."""
    tx.execute("SAVEPOINT batch")
    before = tx.connection.total_changes()
    tx.insert(_INSERT_IF_FREE, rows)
    all_free = tx.connection.total_changes() - before == len(rows)
    if not all_free:
        tx.execute("ROLLBACK TO batch")
    tx.execute("RELEASE batch")
    return all_free


def _sort_out(tx: Tx, companies: Iterable[Company], rows: list[EventRow]) -> tuple[list[EventRow], list[Status]]:
    """The rows that are new, and the status of every row, with all ids looked up."""
    shares: defaultdict[int, list[EventRow]] = defaultdict(list)
    for row in rows:
        shares[row[0]].append(row)
    accepted: list[EventRow] = []
    statuses = {each.no: iter([*_sort_out_share(tx, each, shares[each.no], accepted)]) for each in companies}
    return accepted, [next(statuses[row[0]]) for row in rows]


def _sort_out_share(tx: Tx, company: Company, rows: list[EventRow], accepted: list[EventRow]) -> Iterator[Status]:
    taken = _look_up(tx, company, rows)
    room = TOTAL_MAX - company.head_cum - company.late_tokens
    for row in rows:
        first = taken.get(row[1])
        if first is not None:
            yield Status.REPLAYED if is_same(row, first) else Status.CONFLICT
            continue
        refusal = refusal_of_time(tx, company, row[2])
        if refusal is None and row[3] > room:
            refusal = Status.COUNTER_FULL
        yield refusal or Status.DONE
        if refusal is None:
            taken[row[1]] = row
            accepted.append(row)
            room -= row[3]


def _look_up(tx: Tx, company: Company, rows: list[EventRow]) -> dict[Key, EventRow]:
    found = (find(tx, company, key) for key in {row[1] for row in rows})
    return {row[1]: row for row in found if row is not None}


def _add_to_rollup(tx: Tx, rows: list[EventRow]) -> None:
    lines: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for no, _, at_ms, tokens, _, _, source, number, input_tokens, output_tokens, _, _, _, _ in rows:
        line = lines[no, at_ms // MS_PER_HOUR, number, source]
        line[0] += 1
        line[1] += tokens
        if input_tokens:
            line[2] += input_tokens
        if output_tokens:
            line[3] += output_tokens
    tx.executemany(PUT_ROLLUP, sorted([(*key, *line) for key, line in lines.items()]))
