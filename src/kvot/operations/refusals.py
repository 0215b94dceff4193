"""What the ledger's refusals say to a caller of an operation that has no room for a refusal in its reply."""

from kvot.core.errors import Conflict, FieldError, InvalidRequest, KvotError, NotFound
from kvot.core.model import Status

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
