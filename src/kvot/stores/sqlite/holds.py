"""Holds: tokens set aside for a call, then settled, released, or run out.

Each operation is one row of this table, by the state in which it finds the hold:

              open                     settled            released           expired            charged
    dispatch  marks it                 REPLAYED if it was dispatched, else CLOSED
    renew     later expiry             CLOSED             CLOSED             CLOSED             CLOSED
    settle    event now                REPLAYED/CONFLICT  CONFLICT           event now          correction of the charge
    release   drops it                 CONFLICT           REPLAYED           REPLAYED           correction to zero
"""

import json

from kvot.core.budget import fits
from kvot.core.model import CallDetail, Decision, Hold, HoldChange, HoldState, Kind, NewHold, Settlement, Status
from kvot.core.store import late_settlement_event_id, settlement_event_id
from kvot.stores.sqlite import audit, chain, forecast, hold_rows, labels
from kvot.stores.sqlite.begin import begin
from kvot.stores.sqlite.company import Company, save
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import HOLD_STATE_NO, SOURCE_NO
from kvot.stores.sqlite.entry import enter, find, row_of, tokens_with_corrections
from kvot.stores.sqlite.events import add_correction
from kvot.stores.sqlite.hold_rows import HoldRow
from kvot.stores.sqlite.meter import usage_now

OPEN, SETTLED, RELEASED, EXPIRED, CHARGED = (
    HOLD_STATE_NO[state]
    for state in (HoldState.OPEN, HoldState.SETTLED, HoldState.RELEASED, HoldState.EXPIRED, HoldState.CHARGED)
)

Ended = tuple[Status, HoldRow | None]
"""What came of an operation, and the hold's row as it is after it: what was just written is not read again."""

_MARK = "UPDATE hold SET dispatched = 1 WHERE company_no = ? AND hold_id = ?"
_PROLONG = "UPDATE hold SET expires_at = ? WHERE company_no = ? AND hold_id = ?"
_CLOSE = "UPDATE hold SET state = ?, closed_at = ?, actual = ?, settlement = ? WHERE company_no = ? AND hold_id = ?"


def reserve(tx: Tx, company_id: str, new: NewHold, now_ms: int) -> Decision:
    company = begin(tx, company_id, now_ms)
    try:
        status, hold = _admit(tx, company, new)
    finally:  # whatever comes of it, the clock has advanced
        save(tx, company)
    if hold is None and (kept := hold_rows.find(tx, company, new.hold_id)) is not None:
        return _answer_again(tx, company, new, kept)
    usage = usage_now(tx, company)
    if hold is not None:
        return Decision(status, usage, hold)
    if status is Status.IN_DOUBT:
        return Decision(status, usage)
    fits_at_ms = forecast.fits_at(tx, company, new.amount)
    wait_ms = None if fits_at_ms is None else max(1, fits_at_ms - now_ms)
    return Decision(status, usage, None, wait_ms)


def _answer_again(tx: Tx, company: Company, new: NewHold, kept: HoldRow) -> Decision:
    usage = usage_now(tx, company)
    if new != hold_rows.as_asked(tx, company, kept):
        return Decision(Status.CONFLICT, usage)
    return Decision(Status.REPLAYED, usage, hold_rows.to_hold(tx, company, kept))


def _admit(tx: Tx, company: Company, new: NewHold) -> tuple[Status, Hold | None]:
    """Set the tokens aside if they fit and no hold has the id, which is looked for only then: most ids are new.

    CONFLICT only means that the id is taken: whether a retry asks for the same, `_answer_again` finds out.
    InvalidRequest, and nothing held, if the window is no longer all kept.
    """
    if company.in_doubt:
        return Status.IN_DOUBT, None
    budget = company.budget(tx.rules)
    committed = chain.since(tx, company, company.clock - budget.window_ms) + company.held
    if not fits(committed, new.amount, budget.token_limit):
        return Status.OVER_LIMIT, None
    hold = hold_rows.add(tx, company, new)
    if hold is None:
        return Status.CONFLICT, None
    company.held += new.amount
    hold_rows.note_expiry(company, hold.created_at_ms, hold.expires_at_ms)
    return Status.DONE, hold


def dispatch(tx: Tx, company_id: str, hold_id: str, now_ms: int) -> HoldChange:
    company = begin(tx, company_id, now_ms)
    kept = hold_rows.find(tx, company, hold_id)
    return _finish(tx, company, *_dispatch(tx, kept))


def _dispatch(tx: Tx, kept: HoldRow | None) -> Ended:
    if kept is None:
        return Status.NOT_FOUND, None
    if kept.dispatched:
        return Status.REPLAYED, kept
    if kept.state != OPEN:
        return Status.CLOSED, kept
    tx.execute(_MARK, (kept.company_no, kept.hold_id))
    return Status.DONE, kept._replace(dispatched=1)


def renew(tx: Tx, company_id: str, hold_id: str, ttl_ms: int, now_ms: int) -> HoldChange:
    company = begin(tx, company_id, now_ms)
    kept = hold_rows.find(tx, company, hold_id)
    return _finish(tx, company, *_renew(tx, company, kept, ttl_ms))


def _renew(tx: Tx, company: Company, kept: HoldRow | None, ttl_ms: int) -> Ended:
    if kept is None:
        return Status.NOT_FOUND, None
    if kept.state != OPEN:
        return Status.CLOSED, kept
    expires_at = max(kept.expires_at, company.clock + ttl_ms)
    tx.execute(_PROLONG, (expires_at, kept.company_no, kept.hold_id))
    hold_rows.note_expiry(company, kept.created_at, expires_at)
    return Status.DONE, kept._replace(expires_at=expires_at)


def settle(tx: Tx, company_id: str, hold_id: str, settlement: Settlement, now_ms: int) -> HoldChange:
    company = begin(tx, company_id, now_ms)
    kept = hold_rows.find(tx, company, hold_id)
    return _finish(tx, company, *_settle(tx, company, kept, settlement))


def _settle(tx: Tx, company: Company, kept: HoldRow | None, settlement: Settlement) -> Ended:
    if kept is None:
        return Status.NOT_FOUND, None
    text = to_text(settlement)
    if kept.state == SETTLED:
        return Status.REPLAYED if kept.settlement == text else Status.CONFLICT, kept
    if kept.state == RELEASED:
        return Status.CONFLICT, kept
    if kept.state == CHARGED:
        status = _correct_charge(tx, company, kept, settlement)
    else:
        status = _record_settlement(tx, company, kept, settlement)
    if status is Status.DONE:
        kept = _close(tx, company, kept, SETTLED, actual=settlement.tokens, settlement=text)
    return status, kept


def _record_settlement(tx: Tx, company: Company, kept: HoldRow, settlement: Settlement) -> Status:
    if not company.has_room_for(settlement.tokens):
        return Status.COUNTER_FULL
    row = row_of(
        tx,
        company,
        settlement_event_id(hold_rows.id_of(kept)),
        at_ms=company.clock,
        tokens=settlement.tokens,
        kind=Kind.SETTLEMENT,
        source=settlement.source,
        detail=_described(settlement.detail, labels.labels_of(tx, company.no, kept.label_set_no)),
        receipt=settlement.receipt,
    )
    enter(tx, company, row)
    return Status.DONE


def _described(detail: CallDetail, held: labels.Labels) -> CallDetail:
    """What is known of a call when it ends, filled up with what was said when its tokens were set aside."""
    own = detail[:4]
    provider, model, user, feature = (mine if mine is not None else its for mine, its in zip(own, held, strict=True))
    return CallDetail(provider, model, user, feature, *detail[4:])


def _correct_charge(tx: Tx, company: Company, kept: HoldRow, figure: Settlement) -> Status:
    """Make the charge, with whatever corrections it has had, come to the figure.

    A figure that comes late leaves no line in the audit log: it is what was measured, and nobody's decision.
    """
    hold_id = hold_rows.id_of(kept)
    charge = find(tx, company, settlement_event_id(hold_id))
    if charge is None:  # only damage can have taken it: verify will say so
        return Status.NOT_FOUND
    return add_correction(
        tx,
        company,
        charge,
        event_id=late_settlement_event_id(hold_id),
        tokens=figure.tokens - tokens_with_corrections(tx, company, charge),
        reason=None,
        parts=figure.detail,
        receipt=figure.receipt,
    )


def release(tx: Tx, company_id: str, hold_id: str, actor: str | None, now_ms: int) -> HoldChange:
    company = begin(tx, company_id, now_ms)
    kept = hold_rows.find(tx, company, hold_id)
    return _finish(tx, company, *_release(tx, company, kept, actor))


def _release(tx: Tx, company: Company, kept: HoldRow | None, actor: str | None) -> Ended:
    if kept is None:
        return Status.NOT_FOUND, None
    if kept.state in (RELEASED, EXPIRED):
        return Status.REPLAYED, kept
    if kept.state == SETTLED:
        return Status.CONFLICT, kept
    status = _take_back(tx, company, kept, actor) if kept.state == CHARGED else Status.DONE
    if status is Status.DONE:
        kept = _close(tx, company, kept, RELEASED)
    return status, kept


def _take_back(tx: Tx, company: Company, kept: HoldRow, actor: str | None) -> Status:
    """Correct the charge to zero. That is a decision, so that the audit log says whose."""
    status = _correct_charge(tx, company, kept, Settlement(0))
    if status is Status.DONE and actor is not None:
        hold_id = hold_rows.id_of(kept)
        correction = find(tx, company, late_settlement_event_id(hold_id))
        assert correction is not None, "it was just written"
        audit.note(
            tx,
            at_ms=company.clock,
            actor=actor,
            action="release",
            company_id=company.company_id,
            subject=hold_id,
            detail={"tokens_taken_back": -correction[3]},
        )
    return status


def _close(
    tx: Tx, company: Company, kept: HoldRow, state: int, *, actual: int | None = None, settlement: str | None = None
) -> HoldRow:
    """A hold that ran out stopped holding tokens then, whatever is learnt later."""
    closed_at = company.clock if kept.closed_at is None else kept.closed_at
    if kept.state == OPEN:
        company.held -= kept.amount
    tx.execute(_CLOSE, (state, closed_at, actual, settlement, kept.company_no, kept.hold_id))
    return kept._replace(state=state, closed_at=closed_at, actual=actual, settlement=settlement)


def _finish(tx: Tx, company: Company, status: Status, row: HoldRow | None) -> HoldChange:
    save(tx, company)
    hold = None if row is None else hold_rows.to_hold(tx, company, row)
    return HoldChange(status, usage_now(tx, company), hold)


def to_text(settlement: Settlement) -> str:
    """A settlement as it is kept to compare a retry with: the same text if and only if it is the same settlement."""
    return json.dumps([settlement.tokens, SOURCE_NO[settlement.source], *settlement.detail], separators=(",", ":"))
