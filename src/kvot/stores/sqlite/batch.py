"""Recording thousands of events in one transaction, as if one by one, in order.

Each company's events are sorted out together: its row is read once, all are taken for new at first and written by one
statement, and only if that shows some ids to be taken is the company's share sorted out again with them looked up.
Chain points, sidecar slots and rollup lines are summed first and written once each.
"""

from collections.abc import Sequence

from kvot.core.model import TOTAL_MAX, Kind, NewEvent, Status
from kvot.core.window import MS_PER_HOUR
from kvot.stores.sqlite import chain, labels
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import KIND_NO, SOURCE_NO, Key, to_key
from kvot.stores.sqlite.entry import INSERT, PUT_ROLLUP, EventRow, find, is_same
from kvot.stores.sqlite.events import refusal_of_time

_USAGE = KIND_NO[Kind.USAGE]
_INSERT_IF_FREE = f"{INSERT} ON CONFLICT DO NOTHING"

Share = list[tuple[int, NewEvent]]
"""One company's part of a batch: positions and events, in order."""


def record_many(tx: Tx, events: Sequence[tuple[str, NewEvent]], now_ms: int) -> list[Status]:
    statuses = [Status.DONE] * len(events)
    shares: dict[str, Share] = {}
    for position, (company_id, event) in enumerate(events):
        share = shares.get(company_id)
        if share is None:
            share = shares[company_id] = []
        share.append((position, event))
    for company_id, share in shares.items():
        company = begin(tx, company_id, now_ms)
        _record_share(tx, company, share, statuses)
        save(tx, company)
    return statuses


def _record_share(tx: Tx, company: Company, share: Share, statuses: list[Status]) -> None:
    entries = [(position, _row(tx, company, event)) for position, event in share]
    accepted = _sort_out(tx, company, entries, None, statuses)
    if accepted is None or not _insert_if_free(tx, accepted):
        accepted = _sort_out(tx, company, entries, _look_up(tx, company, entries), statuses) or []
        tx.executemany(INSERT, accepted)
    _count(tx, company, accepted)


def _row(tx: Tx, company: Company, event: NewEvent) -> EventRow:
    """`entry.row_of` for a recorded event, in a quarter of its time."""
    event_id, tokens, at_ms, source, detail = event
    number = labels.number_of(tx, company.no, detail[:4])
    at, at_given = (company.clock, 0) if at_ms is None else (at_ms, 1)
    what = (at_given, _USAGE, SOURCE_NO[source], number)
    return (company.no, to_key(event_id), at, tokens, *what, *detail[4:], None, None)


def _sort_out(
    tx: Tx,
    company: Company,
    entries: list[tuple[int, EventRow]],
    kept: dict[Key, EventRow] | None,
    statuses: list[Status],
) -> list[EventRow] | None:
    """The rows to insert, and each position's status. `kept`: the events that have one of these ids already.

    Without `kept`, None as soon as an event is to be refused: a retry is answered as one whatever its time, so that
    only who knows the kept ids may refuse.
    """
    taken = {} if kept is None else dict(kept)
    accepted: list[EventRow] = []
    room = TOTAL_MAX - company.head_cum - company.late_tokens
    for position, row in entries:
        first = taken.get(row[1])
        if first is not None:
            statuses[position] = Status.REPLAYED if is_same(row, first) else Status.CONFLICT
            continue
        refusal = refusal_of_time(tx, company, row[2])
        if refusal is None and row[3] > room:
            refusal = Status.COUNTER_FULL
        if refusal is None:
            taken[row[1]] = row
            accepted.append(row)
            room -= row[3]
        elif kept is None:
            return None
        statuses[position] = refusal or Status.DONE
    return accepted


def _insert_if_free(tx: Tx, rows: list[EventRow]) -> bool:
    """Insert all rows; False, and none inserted, if any id is taken."""
    tx.execute("SAVEPOINT share")
    before = tx.connection.total_changes()
    tx.executemany(_INSERT_IF_FREE, rows)
    all_free = tx.connection.total_changes() - before == len(rows)
    if not all_free:
        tx.execute("ROLLBACK TO share")
    tx.execute("RELEASE share")
    return all_free


def _look_up(tx: Tx, company: Company, entries: list[tuple[int, EventRow]]) -> dict[Key, EventRow]:
    found = (find(tx, company, key) for key in {row[1] for _, row in entries})
    return {row[1]: row for row in found if row is not None}


def _count(tx: Tx, company: Company, rows: list[EventRow]) -> None:
    """What `entry.enter` does for one event, for all of them with one statement a table."""
    no = company.no
    tokens_at: dict[int, int] = {}
    lines: dict[tuple[int, int, int], list[int]] = {}
    for row in rows:
        at_ms, tokens = row[2], row[3]
        tokens_at[at_ms] = tokens_at.get(at_ms, 0) + tokens
        key = (at_ms // MS_PER_HOUR, row[7], row[6])
        line = lines.get(key)
        if line is None:
            lines[key] = [1, tokens, row[8] or 0, row[9] or 0]
        else:
            line[0] += 1
            line[1] += tokens
            line[2] += row[8] or 0
            line[3] += row[9] or 0
    chain.post_all(tx, company, tokens_at)
    tx.executemany(PUT_ROLLUP, [(no, *key, *line) for key, line in lines.items()])
