"""The admission rule, and what a budget and the rules derive."""

from kvot.core.budget import Budget, Rules, fits


def test_tokens_fit_up_to_the_limit_and_no_further():
    assert fits(60, 40, 100)
    assert not fits(60, 41, 100)
    assert fits(100, 0, 100)
    assert not fits(101, 0, 100)
    assert fits(0, 0, 0)


def test_a_window_is_whole_days_of_milliseconds():
    assert Budget(1, 30).window_ms == 30 * 86_400_000


def test_the_rules_as_they_are_when_nobody_sets_them():
    rules = Rules()
    assert rules.default_budget == Budget(1_000_000, 30)
    assert (rules.retention_ms, rules.future_max_ms) == (400 * 86_400_000, 300_000)
