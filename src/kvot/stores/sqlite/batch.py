"""Recording thousands of events in one transaction, as if one by one, in order.

Each company's events are sorted out together: its row is read once, all are taken for new at first and written by one
statement, and only if that shows some ids to be taken is the company's share sorted out again with them looked up.
Chain points, sidecar slots and rollup lines are summed first and written once each.
"""

from collections import defaultdict
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
    shares: defaultdict[str, Share] = defaultdict(list)
    for position, (company_id, event) in enumerate(events):
        shares[company_id].append((position, event))
    for company_id, share in shares.items():
        company = begin(tx, company_id, now_ms)
        _record_share(tx, company, share, statuses)
        save(tx, company)
    return statuses


def _record_share(tx: Tx, company: Company, share: Share, statuses: list[Status]) -> None:
    rows = _rows(tx, company, share)
    if not (_none_is_refused(tx, company, rows) and _insert_if_free(tx, rows)):
        rows = _sort_out(tx, company, [position for position, _ in share], rows, statuses)
        tx.executemany(INSERT, rows)
    _count(tx, company, rows)


def _rows(tx: Tx, company: Company, share: Share) -> list[EventRow]:
    """What `entry.row_of` makes of each event, in a third of its time."""
    no, clock = company.no, company.clock
    numbers = _LabelSetNumbers(tx, no)
    return [
        (
            no,
            to_key(event_id),
            clock if at_ms is None else at_ms,
            tokens,
            0 if at_ms is None else 1,
            _USAGE,
            SOURCE_NO[source],
            numbers[provider, model, user, feature],
            input_tokens,
            output_tokens,
            cached_tokens,
            reasoning_tokens,
            None,
            None,
        )
        for _, (
            event_id,
            tokens,
            at_ms,
            source,
            (provider, model, user, feature, input_tokens, output_tokens, cached_tokens, reasoning_tokens),
        ) in share
    ]


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
    instants = [row[2] for row in rows]
    return (
        refusal_of_time(tx, company, min(instants)) is None
        and refusal_of_time(tx, company, max(instants)) is None
        and company.has_room_for(sum([row[3] for row in rows]))
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


def _sort_out(
    tx: Tx, company: Company, positions: list[int], rows: list[EventRow], statuses: list[Status]
) -> list[EventRow]:
    """The rows that are new, and each position's status, with all ids looked up."""
    taken = _look_up(tx, company, rows)
    accepted: list[EventRow] = []
    room = TOTAL_MAX - company.head_cum - company.late_tokens
    for position, row in zip(positions, rows, strict=True):
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
    chain.post_all(tx, company, [(row[2], row[3]) for row in rows])
    lines: dict[tuple[int, int, int], list[int]] = {}
    for _, _, at_ms, tokens, _, _, source, number, input_tokens, output_tokens, _, _, _, _ in rows:
        key = (at_ms // MS_PER_HOUR, number, source)
        line = lines.get(key)
        if line is None:
            lines[key] = [1, tokens, input_tokens or 0, output_tokens or 0]
        else:
            line[0] += 1
            line[1] += tokens
            line[2] += input_tokens or 0
            line[3] += output_tokens or 0
    tx.executemany(PUT_ROLLUP, [(company.no, *key, *line) for key, line in lines.items()])
