"""What usage derives from its numbers."""

import pytest

from kvot.core.model import CallDetail, EventColumns, NewEvent, Source, Usage
from kvot.core.store import late_settlement_event_id, settlement_event_id


@pytest.mark.parametrize(
    ("used", "limit", "remaining", "within"),
    [(0, 100, 100, True), (99, 100, 1, True), (100, 100, 0, False), (101, 100, 0, False), (0, 0, 0, False)],
)
def test_usage_against_its_limit(used: int, limit: int, remaining: int, within: bool):
    usage = Usage("c", 0, 30 * 86_400_000, used, 0, limit)
    assert (usage.tokens_remaining, usage.is_within_budget, usage.window_days) == (remaining, within, 30)


def test_held_tokens_take_nothing_from_what_remains():
    assert Usage("c", 0, 1, 40, 50, 100).tokens_remaining == 60


def test_nothing_counts_as_within_budget_in_doubt():
    assert not Usage("c", 0, 1, 0, 0, 100, in_doubt=True).is_within_budget


def test_no_client_can_send_the_ids_of_settlements():
    assert not settlement_event_id("h").isascii()
    assert not late_settlement_event_id("h").isascii()


EVENTS = [
    ("a", NewEvent("e1", 1)),
    ("b", NewEvent("e2", 2, 7, Source.IMPORTED, CallDetail("p", "m", "u", "f", 1, 2, 3, 4))),
    ("a", NewEvent("e3", 3, None, Source.ESTIMATED)),
]


def test_columns_of_events_are_those_events():
    assert list(EventColumns.of(EVENTS).rows()) == EVENTS
    assert list(EventColumns.of([]).rows()) == []


def test_what_all_events_lack_is_no_column_and_one_source_is_said_once():
    columns = EventColumns.of(EVENTS[:1] * 2)
    assert (columns.at_ms, columns.source, columns.model) == (None, Source.REPORTED, None)


def test_columns_joined_are_all_events_in_order_also_of_those_that_lack_a_column():
    bare = EventColumns(["a"], ["e4"], [4], source=Source.IMPORTED)
    batches = [bare, EventColumns.of(EVENTS), EventColumns.of([]), bare]
    assert list(EventColumns.joined(batches).rows()) == [*bare.rows(), *EVENTS, *bare.rows()]
    assert EventColumns.joined([bare, bare]).at_ms is None
    assert EventColumns.joined([bare, bare]).source is Source.IMPORTED
