"""What the ledger's refusals say to a caller of an operation that has no room for a refusal in its reply."""

from kvot.core.durations import duration
from kvot.core.errors import (
    BudgetExceeded,
    Conflict,
    FieldError,
    InvalidRequest,
    KvotError,
    NotFound,
    Refusal,
    holds_wait_ms,
    refusal_of,
)
from kvot.core.model import Decision, HoldChange, HoldState, Status

MESSAGES: dict[Status, tuple[str, str]] = {
    Status.CONFLICT: ("Conflict", "The id '{id}' was used before with other content. Nothing changed."),
    Status.NOT_FOUND: ("NotFound", "No event has the id that is to be corrected."),
    Status.NOT_CORRECTABLE: ("NotCorrectable", "A correction cannot itself be corrected: correct its target again."),
    Status.IN_FUTURE: ("InFuture", "The time of the event lies in the future."),
    Status.BEYOND_RETENTION: ("BeyondRetention", "The time of the event lies before what the ledger keeps."),
    Status.BELOW_ZERO: ("BelowZero", "The correction takes away more tokens than the event has."),
    Status.COUNTER_FULL: ("CounterFull", "The company's total would exceed what a 64-bit counter holds."),
}
"""Code and message by status. `{id}` stands for the id of the event or correction that was refused."""

_FIELDS = {
    Status.IN_FUTURE: "At",
    Status.BEYOND_RETENTION: "At",
    Status.BELOW_ZERO: "Tokens",
    Status.COUNTER_FULL: "Tokens",
    Status.NOT_CORRECTABLE: "EventId",
}


def describe(status: Status, event_id: str) -> tuple[str, str]:
    """The error code and message of a refusal."""
    code, message = MESSAGES[status]
    return code, message.format(id=event_id)


def raise_refused(status: Status, event_id: str) -> None:
    """Raise the error that a refusal is over HTTP; return for an operation that was done or had been."""
    if status in (Status.DONE, Status.REPLAYED):
        return
    raise _error(status, event_id)


def _error(status: Status, event_id: str) -> KvotError:
    code, message = describe(status, event_id)
    if status is Status.CONFLICT:
        return Conflict(message)
    if status is Status.NOT_FOUND:
        return NotFound(message)
    return InvalidRequest.of_fields([FieldError(_FIELDS[status], code, message)])


HOLD_CLOSED = "HoldClosed"
"""The code of what comes too late for a hold. Its message says how the hold ended."""


def raise_reserve_refused(decision: Decision, hold_id: str, tokens: int) -> None:
    """Raise the error that a decision is over HTTP; return if it is an open hold.

    A replay that finds its hold closed is refused: whoever reserves goes on to make the call, and nothing is held for
    it any more.
    """
    if decision.status is Status.CONFLICT:
        raise _error(Status.CONFLICT, hold_id)
    if decision.hold is None:
        raise budget_exceeded(decision, hold_id, tokens)
    if decision.hold.state is not HoldState.OPEN:
        message = f"The hold with this id is {decision.hold.state} already: reserve for another call with another id."
        raise Conflict(message, code=HOLD_CLOSED)


def no_hold() -> NotFound:
    return NotFound("No hold has this id.")


def raise_settle_refused(change: HoldChange) -> None:
    """The same for a settlement. One that says otherwise than the first is a conflict, as with any id."""
    if change.status is Status.CONFLICT and change.hold is not None and change.hold.state is HoldState.SETTLED:
        raise Conflict("The hold was settled before with other content. Nothing changed.")
    raise_change_refused(change)


def raise_change_refused(change: HoldChange) -> None:
    """The same for what changes a hold."""
    if change.status in (Status.DONE, Status.REPLAYED):
        return
    if change.hold is None:
        raise no_hold()
    if field := _HOLD_FIELDS.get(change.status):
        code, message = MESSAGES[change.status]
        raise InvalidRequest.of_fields([FieldError(field, code, message)])
    raise Conflict(f"The hold is {change.hold.state} already. Nothing changed.", code=HOLD_CLOSED)


_HOLD_FIELDS = {Status.BEYOND_RETENTION: "HoldId", Status.COUNTER_FULL: "TokensUsed"}


def budget_exceeded(decision: Decision, hold_id: str, tokens: int) -> BudgetExceeded:
    """A decision that refused, as an error with all that it says. `tokens`: how many were asked for."""
    refusal = refusal_of(decision.usage, tokens)
    return BudgetExceeded(
        _message(refusal, decision, tokens),
        tokens=tokens,
        usage=decision.usage,
        refusal=refusal,
        fits_after_ms=decision.retry_after_ms,
        soon_ms=holds_wait_ms(hold_id),
    )


def _message(refusal: Refusal, decision: Decision, tokens: int) -> str:
    usage = decision.usage
    if refusal is Refusal.IN_DOUBT:
        return "The company's ledger is in doubt: nothing is held until it is proved."
    if refusal is Refusal.ABOVE_LIMIT:
        return f"{tokens} tokens never fit: the limit is {usage.token_limit}."
    days = "1 day" if usage.window_days == 1 else f"{usage.window_days} days"
    message = (
        f"{tokens} tokens do not fit: of {usage.token_limit} in {days} "
        f"{usage.tokens_used} are used and {usage.tokens_held} held."
    )
    if decision.retry_after_ms is None:
        return message
    wait = duration(decision.retry_after_ms)
    if refusal is Refusal.OPEN_HOLDS:
        return f"{message} They fit once enough holds have ended, in {wait} at the latest."
    return f"{message} They fit in {wait} if nothing else is spent."
