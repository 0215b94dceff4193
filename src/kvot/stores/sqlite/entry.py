"""One event as a row of the ledger, and all that is counted when it enters: the chain or sidecar, and the rollup."""

from kvot.core.model import CallDetail, Kind, Source
from kvot.core.window import hour_of
from kvot.stores.sqlite import chain, labels, lines
from kvot.stores.sqlite.company import Company
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import KIND_NO, SOURCE_NO, Key

EventRow = tuple[
    int, Key, int, int, int, int, int, int, int | None, int | None, int | None, int | None, Key | None, str | None,
    str | None,
]  # fmt: skip
"""The columns of event: company_no, event_id, at, tokens, at_given, kind, source, label_set_no, input, output, cached
and reasoning tokens, ref, reason, receipt. Plain, since they come in thousands."""

INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_FIND = "SELECT * FROM event WHERE company_no = ? AND event_id = ?"
_CORRECTED_BY = "SELECT sum(tokens) FROM event WHERE company_no = ? AND ref = ? AND at = ?"


def find(tx: Tx, company: Company, key: Key) -> EventRow | None:
    rows = tx.execute(_FIND, (company.no, key)).fetchall()
    return rows[0] if rows else None


def row_of(
    tx: Tx,
    company: Company,
    key: Key,
    *,
    at_ms: int,
    tokens: int,
    kind: Kind,
    source: Source,
    detail: CallDetail,
    at_given: bool = False,
    ref: Key | None = None,
    reason: str | None = None,
    receipt: str | None = None,
) -> EventRow:
    number = labels.number_of(tx, company.no, detail[:4])
    what = (int(at_given), KIND_NO[kind], SOURCE_NO[source], number)
    return (company.no, key, at_ms, tokens, *what, *detail[4:], ref, reason, receipt)


def is_same(row: EventRow, kept: EventRow) -> bool:
    """Whether a retry says what was said at first; a time that the ledger assigned was not said, and a receipt is not
    compared."""
    return row[:14] == kept[:14] or (not row[4] and row[:2] == kept[:2] and row[3:14] == kept[3:14])


def enter(tx: Tx, company: Company, row: EventRow) -> None:
    """Write a new event and count it. The caller has seen that its id is free and that the company has room."""
    tx.execute(INSERT, row)
    at_ms, tokens = row[2], row[3]
    if tokens:
        chain.post(tx, company, at_ms, tokens)
    lines.count(tx, (company.no, hour_of(at_ms), row[7], row[6]), tokens, row[8] or 0, row[9] or 0)


def tokens_with_corrections(tx: Tx, company: Company, target: EventRow) -> int:
    """Corrections have their target's time. Those of another belong to an event of the same id that was forgotten, and
    that a prune on its way has not deleted yet."""
    return target[3] + tx.number(_CORRECTED_BY, (company.no, *target[1:3]))
