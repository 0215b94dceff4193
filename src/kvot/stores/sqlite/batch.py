"""Recording thousands of events in one transaction, as if one by one, in order.

All events are taken for new at first and written together; only if some id shows to be taken, or some event is to be
refused, is the batch sorted out again with all ids looked up. Chain points, sidecar slots and rollup lines are summed
first and written once each. What is done for every row is done by C loops over columns where one will do it.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from kvot.core.model import TOTAL_MAX, EventColumns, Kind, Source, Status
from kvot.stores.sqlite import chain, labels, rollup
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Column, Tx
from kvot.stores.sqlite.encoding import KIND_NO, SOURCE_NO, Key, to_keys
from kvot.stores.sqlite.entries import Entries, by_company, every
from kvot.stores.sqlite.entry import EventRow, find, is_same
from kvot.stores.sqlite.events import refusal_of_time

_USAGE = KIND_NO[Kind.USAGE]


def record_many(tx: Tx, events: EventColumns, now_ms: int) -> list[Status]:
    if not events:
        return []
    companies = {company_id: begin(tx, company_id, now_ms) for company_id in dict.fromkeys(events.company_ids)}
    by_no = {company.no: company for company in companies.values()}
    order, entries = by_company(_entries(tx, companies, events))
    if _none_is_refused(tx, by_no, entries) and _insert_if_free(tx, entries):
        statuses = [Status.DONE] * len(events)
        _count(tx, by_no, entries)
    else:
        accepted, sorted_out = _sort_out(tx, by_no, entries)
        statuses = [status for _, status in sorted(zip(order, sorted_out, strict=True), key=itemgetter(0))]
        if accepted:
            entries = Entries(*map(list, zip(*accepted, strict=True)))
            tx.insert("event", entries)
            _count(tx, by_no, entries)
    for company in by_no.values():
        save(tx, company)
    return statuses


def _entries(tx: Tx, companies: dict[str, Company], events: EventColumns) -> Entries:
    """What `entry.row_of` makes of each event, in a fraction of its time."""
    nos = {company_id: company.no for company_id, company in companies.items()}
    company_nos = list(map(nos.__getitem__, events.company_ids))
    at_ms, at_given = _instants(companies, events)
    return Entries(
        company_nos,
        to_keys(events.event_ids),
        at_ms,
        events.tokens,
        at_given,
        _USAGE,
        _source_nos(events.source),
        _label_set_nos(tx, company_nos, events),
        *events.parts,
    )


def _instants(companies: dict[str, Company], events: EventColumns) -> tuple[Sequence[int], Column]:
    """When each event is counted, and whether its client said so."""
    if events.at_ms is None:
        return [companies[company_id].clock for company_id in events.company_ids], 0
    if None not in events.at_ms:
        return events.at_ms, 1  # type: ignore[return-value]
    pairs = zip(events.company_ids, events.at_ms, strict=True)
    at_ms = [companies[company_id].clock if each is None else each for company_id, each in pairs]
    return at_ms, [0 if each is None else 1 for each in events.at_ms]


def _source_nos(source: Sequence[Source] | Source) -> Column:
    return SOURCE_NO[source] if isinstance(source, Source) else list(map(SOURCE_NO.__getitem__, source))


def _label_set_nos(tx: Tx, company_nos: Sequence[int], events: EventColumns) -> Column:
    if all(column is None for column in events.labels):
        return 0
    numbers = _LabelSetNumbers(tx)
    return list(map(numbers.__getitem__, zip(company_nos, *map(every, events.labels), strict=False)))


class _LabelSetNumbers(dict[tuple[int, str | None, str | None, str | None, str | None], int]):
    """The numbers of the companies' combinations, each looked up when it is first met."""

    def __init__(self, tx: Tx) -> None:
        super().__init__()
        self._tx = tx

    def __missing__(self, key: tuple[int, str | None, str | None, str | None, str | None]) -> int:
        number = self[key] = labels.number_of(self._tx, key[0], key[1:])
        return number


def _none_is_refused(tx: Tx, companies: dict[int, Company], entries: Entries) -> bool:
    """Whether no event would be refused for its time or its tokens."""
    for no, share in entries.shares():
        company, at_ms = companies[no], entries.at_ms[share]
        if refusal_of_time(tx, company, min(at_ms)) or refusal_of_time(tx, company, max(at_ms)):
            return False
        if not company.has_room_for(sum(entries.tokens[share])):
            return False
    return True


def _insert_if_free(tx: Tx, entries: Entries) -> bool:
    """Insert all events; False, and none inserted, if any id is taken or comes twice."""
    tx.execute("SAVEPOINT batch")
    before = tx.connection.total_changes()
    tx.insert("event", entries, "ON CONFLICT DO NOTHING")
    all_free = tx.connection.total_changes() - before == len(entries.keys)
    if not all_free:
        tx.execute("ROLLBACK TO batch")
    tx.execute("RELEASE batch")
    return all_free


def _count(tx: Tx, companies: dict[int, Company], entries: Entries) -> None:
    """Count new events: the chains or sidecars, and the rollup."""
    points = {}
    for no, share in entries.shares():
        points[no] = chain.post_all(tx, companies[no], entries.at_ms[share], entries.tokens[share])
    chain.add_points(tx, points)
    rollup.add(tx, entries)


# -- a batch of which not all can be taken -----------------------------------------------------------------------------


def _sort_out(tx: Tx, companies: dict[int, Company], entries: Entries) -> tuple[list[EventRow], list[Status]]:
    """The events that are new, and the status of every one, with all ids looked up."""
    rows = entries.rows()
    accepted: list[EventRow] = []
    statuses: list[Status] = []
    for no, share in entries.shares():
        statuses += _sort_out_share(tx, companies[no], rows[share], accepted)
    return accepted, statuses


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
