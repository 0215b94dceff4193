"""Failures by name: how many, how long they count, and what they take of memory."""

import sys

import pytest

from kvot.http.auth.attempts import BURST, INTERVAL_MS, SLOTS, Attempts, peer_name

NOW_MS = 1_790_000_000_000


def exhausted(name: str = "a") -> Attempts:
    attempts = Attempts(b"seed")
    assert [attempts.fail(name, NOW_MS) for _ in range(BURST)] == [0] * BURST
    return attempts


def test_a_burst_is_free_and_the_next_failure_must_wait():
    assert exhausted().fail("a", NOW_MS) == INTERVAL_MS


def test_failing_over_the_limit_does_not_make_the_wait_longer():
    attempts = exhausted()
    assert {attempts.fail("a", NOW_MS) for _ in range(1_000)} == {INTERVAL_MS}


def test_the_wait_is_exact():
    attempts = exhausted()
    assert attempts.fail("a", NOW_MS + INTERVAL_MS - 1) == 1
    assert attempts.fail("a", NOW_MS + INTERVAL_MS) == 0
    assert attempts.fail("a", NOW_MS + INTERVAL_MS) == INTERVAL_MS


def test_after_a_quiet_minute_the_burst_is_whole_again():
    attempts = exhausted()
    later_ms = NOW_MS + BURST * INTERVAL_MS
    assert [attempts.fail("a", later_ms) for _ in range(BURST + 1)] == [0] * BURST + [INTERVAL_MS]


def test_others_are_not_held_responsible():
    assert exhausted("a").fail("b", NOW_MS) == 0


def test_memory_is_the_same_however_many_fail():
    attempts = Attempts(b"seed")
    before = sys.getsizeof(attempts._clear_at_ms)
    for number in range(50_000):
        attempts.fail(str(number), NOW_MS)
    assert sys.getsizeof(attempts._clear_at_ms) == before
    assert len(attempts._clear_at_ms) == SLOTS


def test_nobody_outside_knows_who_shares_a_slot():
    slots = {Attempts(bytes([seed]))._slot("a") for seed in range(50)}
    assert len(slots) > 40


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        (None, "", True),
        ("/run/kvot.sock", "/run/other.sock", False),
    ],
)
def test_who_counts_as_one_peer(one, other, is_same):
    assert (peer_name(one) == peer_name(other)) is is_same
