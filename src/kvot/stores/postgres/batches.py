"""Thousands of events to record, company by company: as columns if all are new, and one by one if they are not."""

from typing import Self

from kvot.core.model import EventColumns, NewEvent
from kvot.stores.postgres.encoding import to_json, to_labels, to_operation, to_optional_text, to_parts

Columns = tuple[object, ...]


class Batch:
    """The events of one company, in their order, and the caller's time."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._events: list[NewEvent] = []

    @classmethod
    def by_company(cls, events: EventColumns, now_ms: int) -> dict[str, Self]:
        batches: dict[str, Self] = {}
        for company_id, event in events.rows():
            if company_id not in batches:
                batches[company_id] = cls(now_ms)
            batches[company_id]._events.append(event)
        return batches

    def __len__(self) -> int:
        return len(self._events)

    def operations(self) -> list[str]:
        return [record_operation(event, self.now_ms, brief=True) for event in self._events]

    def columns(self) -> Columns:
        """As `kvot.record_new` takes them: ids, tokens, times, sources, labels by number, the labels, four parts."""
        ids, tokens, at_ms, sources, details, _receipts = zip(*self._events, strict=True)
        numbers: dict[tuple[str | None, ...], int] = {}
        label_nos = [numbers.setdefault(detail[:4], len(numbers) + 1) for detail in details]
        labels = to_json([to_labels(each) for each in numbers])
        parts = [None if part.count(None) == len(part) else part for part in zip(*details, strict=True)][4:]
        return (ids, tokens, at_ms, [source.value for source in sources], label_nos, labels, *parts)


def record_operation(event: NewEvent, now_ms: int, *, brief: bool | None = None) -> str:
    """One event as `kvot.write` takes it. `brief`: the answer needs no usage."""
    return to_operation(
        "record",
        now_ms,
        id=event.event_id,
        tokens=event.tokens,
        at=event.at_ms,
        source=event.source,
        labels=to_labels(event.detail[:4]),
        parts=to_parts(event.detail),
        receipt=to_optional_text(event.receipt),
        brief=brief,
    )
