"""How the ledger's values go to PostgreSQL and come back: operations as JSON, rows as the values of the core.

PostgreSQL keeps every text but one with a NUL character in it. So that no client can send what cannot be kept, NUL is
written as two characters, and the first of these as two as well.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from kvot.core.budget import Budget, BudgetChange
from kvot.core.model import (
    CallDetail,
    CompanyBudget,
    Hold,
    HoldEnd,
    HoldState,
    Settlement,
    Source,
    Status,
    Usage,
)
from kvot.core.stored_replies import StoredReply

_ESCAPE, _NUL = "\x1b", "\x00"
_NO_LABELS = (None, None, None, None)

STATUSES = {status.value: status for status in Status}
HOLD_STATES = {state.value: state for state in HoldState}


@lru_cache(maxsize=4_096)
def to_uuid(company_id: str) -> UUID:
    """Remembered, since every operation names its company and few are busy at a time."""
    return UUID(company_id)


def to_text(text: str) -> str:
    if _NUL not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, _ESCAPE + "1").replace(_NUL, _ESCAPE + "0")


def from_text(text: str) -> str:
    if _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE + "0", _NUL).replace(_ESCAPE + "1", _ESCAPE)


def to_optional_text(text: str | None) -> str | None:
    return None if text is None else to_text(text)


def from_optional_text(text: str | None) -> str | None:
    return None if text is None else from_text(text)


def to_labels(labels: tuple[str | None, ...]) -> list[str | None] | None:
    """Provider, model, user, feature; None where nothing is said of any."""
    return None if labels == _NO_LABELS else [to_optional_text(label) for label in labels]


def from_labels(labels: list[str | None] | None) -> tuple[str | None, ...]:
    return _NO_LABELS if labels is None else tuple(map(from_optional_text, labels))


def to_parts(detail: CallDetail) -> tuple[int | None, ...] | None:
    """Input, output, cached and reasoning tokens; None where nothing is said of any."""
    parts = detail[4:]
    return None if parts == _NO_LABELS else parts


def to_operation(do: str, now_ms: int, **asked: Any) -> str:
    """An operation as `kvot.write` takes it. What is None is left out."""
    return to_json({"do": do, "now_ms": now_ms} | {name: value for name, value in asked.items() if value is not None})


def to_call(operations: Iterable[str]) -> str:
    return f"[{','.join(operations)}]"


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def settlement_text(settlement: Settlement) -> str:
    """A settlement as it is kept to compare a retry with: the same text if and only if it is the same settlement."""
    return to_json([settlement.tokens, settlement.source, *settlement.detail])


def to_usage(company_id: str, row: Mapping[str, Any]) -> Usage:
    return Usage(
        company_id, row["at_ms"], row["window_ms"], row["used"], row["held"], row["token_limit"], row["in_doubt"]
    )


def to_reply(row: Mapping[str, Any]) -> StoredReply:
    return StoredReply(from_text(row["provider"]), from_text(row["reply_id"]), row["at"], row["tokens"])


def to_hold(row: Mapping[str, Any]) -> Hold | None:
    if row["hold_id"] is None:
        return None
    asked = (row["hold_id"], row["amount"], row["ttl_ms"], row["dispatched"], *from_labels(row["labels"]))
    life = (row["created_at"], row["expires_at"], HOLD_STATES[row["state"]], row["closed_at"], row["actual"])
    return Hold._make(asked + life)


def to_hold_end(row: Mapping[str, Any]) -> HoldEnd:
    state, closed_at = HOLD_STATES[row["state"]], row["closed_at"]
    if closed_at is None and state is not HoldState.OPEN:  # it is due, and seen as closed
        closed_at = row["expires_at"]
    known = (row["hold_id"], state, row["expires_at"], closed_at)
    if row["settlement"] is None:
        return HoldEnd(*known, row["amount"], None)
    tokens, source, *_ = msgspec.json.decode(row["settlement"])
    return HoldEnd(*known, tokens, Source(source))


def to_company_budget(note: str) -> CompanyBudget:
    """Of the JSON object that the database writes: budget and changes."""
    kept = msgspec.json.decode(note)
    changes = (
        BudgetChange(effective_at, Budget(limit, days), from_text(actor), from_optional_text(reason))
        for effective_at, limit, days, actor, reason in kept["changes"]
    )
    return CompanyBudget(Budget(*kept["budget"]), tuple(changes))
