"""Recording thousands of events: those of each company in one call, all companies in one transaction."""

from kvot.core.model import EventColumns, NewEvent, Status
from kvot.stores.postgres.encoding import STATUSES, to_labels, to_operation, to_parts
from kvot.stores.postgres.writes import Writes


async def record_many(writes: Writes, events: EventColumns, now_ms: int) -> list[Status]:
    calls: dict[str, list[str]] = {}
    for company_id, event in events.rows():
        calls.setdefault(company_id, []).append(_operation(event, now_ms))
    if not calls:
        return []
    answers = await writes.together(list(calls.items()))
    statuses = {
        company_id: iter([STATUSES[row["status"]] for row in rows])
        for company_id, rows in zip(calls, answers, strict=True)
    }
    return [next(statuses[company_id]) for company_id in events.company_ids]


def _operation(event: NewEvent, now_ms: int) -> str:
    return to_operation(
        "record",
        now_ms,
        id=event.event_id,
        tokens=event.tokens,
        at=event.at_ms,
        source=event.source,
        labels=to_labels(event.detail[:4]),
        parts=to_parts(event.detail),
        brief=True,
    )
