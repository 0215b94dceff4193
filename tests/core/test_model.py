"""What usage derives from its numbers."""

import pytest

from kvot.core.model import Usage
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
