"""Recording one event, and correcting one: the ledger takes an id once and never changes what it took."""

from kvot.core.model import CallDetail, Correction, Kind, NewEvent, Recorded, Source, Status
from kvot.stores.sqlite import audit, labels
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import KIND_NO, to_key
from kvot.stores.sqlite.entry import EventRow, enter, find, is_same, row_of, tokens_with_corrections
from kvot.stores.sqlite.meter import usage_now

_NO_PARTS = CallDetail()
_CORRECTION = KIND_NO[Kind.CORRECTION]


def record(tx: Tx, company_id: str, event: NewEvent, now_ms: int) -> Recorded:
    company = begin(tx, company_id, now_ms)
    status, at_ms = _record(tx, company, event)
    save(tx, company)
    return Recorded(status, usage_now(tx, company), at_ms)


def _record(tx: Tx, company: Company, event: NewEvent) -> tuple[Status, int | None]:
    at_ms = company.clock if event.at_ms is None else event.at_ms
    row = row_of(
        tx,
        company,
        to_key(event.event_id),
        at_ms=at_ms,
        at_given=event.at_ms is not None,
        tokens=event.tokens,
        kind=Kind.USAGE,
        source=event.source,
        detail=event.detail,
        receipt=event.receipt,
    )
    kept = find(tx, company, row[1])
    if kept is not None:
        return (Status.REPLAYED, kept[2]) if is_same(row, kept) else (Status.CONFLICT, None)
    refusal = refusal_of_time(tx, company, at_ms)
    if refusal is None and not company.has_room_for(event.tokens):
        refusal = Status.COUNTER_FULL
    if refusal is not None:
        return refusal, None
    enter(tx, company, row)
    return Status.DONE, at_ms


def refusal_of_time(tx: Tx, company: Company, at_ms: int) -> Status | None:
    if at_ms > company.clock + tx.rules.future_max_ms:
        return Status.IN_FUTURE
    return Status.BEYOND_RETENTION if is_beyond(tx, company, at_ms) else None


def is_beyond(tx: Tx, company: Company, at_ms: int) -> bool:
    """Older than retention, or forgotten."""
    return at_ms < company.clock - tx.rules.retention_ms or at_ms <= company.floor_at


def correct(tx: Tx, company_id: str, correction: Correction, now_ms: int) -> Recorded:
    company = begin(tx, company_id, now_ms)
    status, at_ms = _correct(tx, company, correction)
    save(tx, company)
    return Recorded(status, usage_now(tx, company), at_ms)


def _correct(tx: Tx, company: Company, correction: Correction) -> tuple[Status, int | None]:
    kept = find(tx, company, to_key(correction.event_id))
    if kept is not None:
        return (Status.REPLAYED, kept[2]) if _says(correction, kept) else (Status.CONFLICT, None)
    target = find(tx, company, to_key(correction.target_id))
    if target is None:
        return Status.NOT_FOUND, None
    if target[5] == _CORRECTION:
        return Status.NOT_CORRECTABLE, None
    status = add_correction(
        tx,
        company,
        target,
        event_id=correction.event_id,
        tokens=correction.tokens,
        reason=correction.reason,
        parts=_NO_PARTS,
    )
    if status is Status.DONE:
        detail: dict[str, object] = {"target": correction.target_id, "tokens": correction.tokens}
        detail["reason"] = correction.reason
        audit.note(
            tx,
            at_ms=company.clock,
            actor=correction.actor,
            action="correct",
            company_id=company.company_id,
            subject=correction.event_id,
            detail=detail,
        )
    return status, target[2] if status is Status.DONE else None


def _says(correction: Correction, kept: EventRow) -> bool:
    asked = (correction.tokens, _CORRECTION, to_key(correction.target_id), correction.reason)
    return asked == (kept[3], kept[5], kept[12], kept[13])


def add_correction(
    tx: Tx,
    company: Company,
    target: EventRow,
    *,
    event_id: str,
    tokens: int,
    reason: str | None,
    parts: CallDetail,
    receipt: str | None = None,
) -> Status:
    """Write a correction at its target's time and under its labels, with the token counts of `parts` if known."""
    if is_beyond(tx, company, target[2]):
        return Status.BEYOND_RETENTION
    if tokens_with_corrections(tx, company, target) + tokens < 0:
        return Status.BELOW_ZERO
    if not company.has_room_for(tokens):
        return Status.COUNTER_FULL
    row = row_of(
        tx,
        company,
        to_key(event_id),
        at_ms=target[2],
        tokens=tokens,
        kind=Kind.CORRECTION,
        source=Source.CORRECTED,
        detail=CallDetail(*labels.labels_of(tx, company.no, target[7]), *parts[4:]),
        ref=target[1],
        reason=reason,
        receipt=receipt,
    )
    enter(tx, company, row)
    return Status.DONE
