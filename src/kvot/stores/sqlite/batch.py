"""Recording thousands of events in one transaction, as if one by one, in order.

Each company's events are sorted out together: its row is read once, all are taken for new at first and written by one
statement, and only if that shows some ids to be taken is the company's share sorted out again with them looked up.
Chain points, sidecar slots and rollup lines are summed first and written once each. What is done for every row is done
by C loops over columns where one will do it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


def record_many(tx: Tx, events: Sequence[tuple[str, NewEvent]], now_ms: int) -> list[Status]:
    shares: defaultdict[str, list[NewEvent]] = defaultdict(list)
    for company_id, event in events:
        shares[company_id].append(event)
    statuses = {company_id: iter(_record_share(tx, company_id, share, now_ms)) for company_id, share in shares.items()}
    return [next(statuses[company_id]) for company_id, _ in events]


def _record_share(tx: Tx, company_id: str, share: list[NewEvent], now_ms: int) -> list[Status]:
    """Record one company's part of a batch, in order."""
    company = begin(tx, company_id, now_ms)
    rows = _rows(tx, company, share)
    statuses = [Status.DONE] * len(rows)
    if not (_none_is_refused(tx, company, rows) and _insert_if_free(tx, rows)):
        rows = _sort_out(tx, company, rows, statuses)
        tx.executemany(INSERT, rows)
    if rows:
        _count(tx, company, rows)
    save(tx, company)
    return statuses


def _rows(tx: Tx, company: Company, share: list[NewEvent]) -> list[EventRow]:
    """What `entry.row_of` makes of each event, in a fraction of its time."""
    event_ids, tokens, at_ms, sources, details = zip(*share, strict=True)
    *who, input_tokens, output_tokens, cached_tokens, reasoning_tokens = zip(*details, strict=True)
    given: Iterable[int] = repeat(1)
    if None in at_ms:
        given = [0 if each is None else 1 for each in at_ms]
        at_ms = tuple(company.clock if each is None else each for each in at_ms)
    columns = (
        repeat(company.no),
        to_keys(event_ids),
        at_ms,
        tokens,
        given,
        repeat(_USAGE),
        _source_nos(sources),
        map(_LabelSetNumbers(tx, company.no).__getitem__, zip(*who, strict=True)),
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


class _LabelSetNumbers(dict[labels.Labels, int]):
    """The numbers of one company's combinations, each looked up when it is first met."""

    def __init__(self, tx: Tx, company_no: int) -> None:
        super().__init__()
        self._tx = tx
        self._company_no = company_no

    def __missing__(self, key: labels.Labels) -> int:
        number = self[key] = labels.number_of(self._tx, self._company_no, key)
        return number


def _none_is_refused(tx: Tx, company: Company, rows: list[EventRow]) -> bool:
    """Whether no event would be refused for its time or its tokens."""
    _, _, instants, tokens, *_ = zip(*rows, strict=True)
    return (
        refusal_of_time(tx, company, min(instants)) is None
        and refusal_of_time(tx, company, max(instants)) is None
        and company.has_room_for(sum(tokens))
    )


def _insert_if_free(tx: Tx, rows: list[EventRow]) -> bool:
    """Insert all rows; False, and none inserted, if any id is taken or comes twice."""
    tx.execute("SAVEPOINT share")
    before = tx.connection.total_changes()
    tx.executemany(_INSERT_IF_FREE, rows)
    all_free = tx.connection.total_changes() - before == len(rows)
    if not all_free:
        tx.execute("ROLLBACK TO share")
    tx.execute("RELEASE share")
    return all_free


def _sort_out(tx: Tx, company: Company, rows: list[EventRow], statuses: list[Status]) -> list[EventRow]:
    """The rows that are new, and the status of each other, with all ids looked up."""
    taken = _look_up(tx, company, rows)
    accepted: list[EventRow] = []
    room = TOTAL_MAX - company.head_cum - company.late_tokens
    for position, row in enumerate(rows):
        first = taken.get(row[1])
        if first is not None:
            statuses[position] = Status.REPLAYED if is_same(row, first) else Status.CONFLICT
            continue
        refusal = refusal_of_time(tx, company, row[2])
        if refusal is None and row[3] > room:
            refusal = Status.COUNTER_FULL
        if refusal is not None:
            statuses[position] = refusal
            continue
        taken[row[1]] = row
        accepted.append(row)
        room -= row[3]
    return accepted


def _look_up(tx: Tx, company: Company, rows: list[EventRow]) -> dict[Key, EventRow]:
    found = (find(tx, company, key) for key in {row[1] for row in rows})
    return {row[1]: row for row in found if row is not None}


def _count(tx: Tx, company: Company, rows: list[EventRow]) -> None:
    """What `entry.enter` does for one event, for all of them with one statement a table."""
    _, _, at_ms, tokens, _, _, sources, numbers, input_tokens, output_tokens, *_ = zip(*rows, strict=True)
    chain.post_all(tx, company, list(zip(at_ms, tokens, strict=True)))
    hours = [each // MS_PER_HOUR for each in at_ms]
    lines: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    keys = zip(hours, numbers, sources, strict=True)
    for key, total, input_, output in zip(keys, tokens, input_tokens, output_tokens, strict=True):
        line = lines[key]
        line[0] += 1
        line[1] += total
        line[2] += input_ or 0
        line[3] += output or 0
    tx.executemany(PUT_ROLLUP, [(company.no, *key, *line) for key, line in lines.items()])
