"""Repeated calls: known as such, answered again, forgotten within bounds."""

import pytest

from kvot.core.errors import Conflict
from kvot.core.model import Settlement
from kvot.gateway.retries import ENTRIES_MAX, KEPT_S, REPLY_BYTES_MAX, Attempt, Charged, Reply, Retries, attempt

FIRST, AGAIN = {b"x-stainless-retry-count": b"0"}, {b"x-stainless-retry-count": b"1"}
KEYED = {b"idempotency-key": b"turn-7"}
REPLY = Reply(200, (), b"hello")
LONG = Reply(200, (), bytes(REPLY_BYTES_MAX + 1))


def asked(headers, body=b"{}", credential="key1", path="/v1/chat/completions", company="c1") -> Attempt:
    found = attempt((credential, company), path, headers, body)
    assert found is not None
    return found


def charge(number: int) -> Charged:
    return Charged(f"h{number}", Settlement(10))


def test_a_retry_is_given_the_reply_to_its_first_attempt():
    retries = Retries()
    retries.succeed(asked(FIRST), charge(1), REPLY, 0.0)
    assert retries.reply(asked(AGAIN), 1.0) == REPLY


def test_the_same_words_said_again_on_purpose_are_another_call():
    retries = Retries()
    retries.succeed(asked(FIRST), charge(1), REPLY, 0.0)
    assert retries.reply(asked(FIRST), 1.0) is None
    retries.fail(asked(FIRST), charge(2), 1.0)
    assert retries.reply(asked(AGAIN), 2.0) is None


def test_an_idempotency_key_makes_the_same_call_of_both():
    retries = Retries()
    retries.succeed(asked(KEYED), charge(1), REPLY, 0.0)
    assert retries.reply(asked(KEYED), 1.0) == REPLY
    assert retries.reply(asked(KEYED | AGAIN), 1.0) == REPLY


def test_a_key_that_was_given_to_one_call_is_refused_for_another_until_it_is_forgotten():
    retries = Retries()
    retries.succeed(asked(KEYED), charge(1), REPLY, 0.0)
    with pytest.raises(Conflict, match="used before with another body"):
        retries.reply(asked(KEYED, body=b'{"n":2}'), 1.0)
    assert retries.reply(asked(KEYED, body=b'{"n":2}'), KEPT_S) is None


@pytest.mark.parametrize(("first", "again"), [(FIRST, AGAIN), (KEYED, KEYED)])
def test_nobody_is_given_the_reply_to_another_credential_company_or_address(first, again):
    retries = Retries()
    retries.succeed(asked(first), charge(1), REPLY, 0.0)
    assert retries.reply(asked(again, credential="key2"), 1.0) is None
    assert retries.reply(asked(again, company="c2"), 1.0) is None
    assert retries.reply(asked(again, path="/v1/responses"), 1.0) is None


def test_without_a_key_other_words_are_another_call():
    retries = Retries()
    retries.succeed(asked(FIRST), charge(1), REPLY, 0.0)
    assert retries.reply(asked(AGAIN, body=b"{ }"), 1.0) is None


def test_a_client_that_says_nothing_of_retries_has_none():
    assert attempt(("key1", "c1"), "/v1/chat/completions", {}, b"{}") is None


def test_replies_are_forgotten_with_time():
    retries = Retries()
    retries.succeed(asked(FIRST), charge(1), REPLY, 0.0)
    assert retries.reply(asked(AGAIN), KEPT_S) is None


def test_what_is_kept_has_a_bound_in_bytes_and_in_number():
    retries = Retries()
    retries.succeed(asked(FIRST), charge(1), LONG, 0.0)
    assert retries.reply(asked(AGAIN), 0.0) is None
    for number in range(65):  # 64 of the largest are all that fit
        retries.succeed(asked(FIRST, body=b"%d" % number), charge(1), Reply(200, (), bytes(REPLY_BYTES_MAX)), 0.0)
    assert retries.reply(asked(AGAIN, body=b"0"), 0.0) is None
    assert retries.reply(asked(AGAIN, body=b"1"), 0.0) is not None
    for number in range(ENTRIES_MAX):
        retries.succeed(asked(FIRST, body=b"small %d" % number), charge(1), REPLY, 0.0)
    assert retries.reply(asked(AGAIN, body=b"1"), 0.0) is None


def test_what_failed_attempts_were_charged_is_told_once_and_the_last_two_of_them():
    retries = Retries()
    retries.fail(asked(FIRST), charge(1), 0.0)
    retries.fail(asked(AGAIN), charge(2), 0.0)
    retries.fail(asked(AGAIN), charge(3), 0.0)
    assert retries.succeed(asked(AGAIN), charge(4), REPLY, 0.0) == [charge(2), charge(3)]
    assert retries.succeed(asked(AGAIN), charge(5), REPLY, 0.0) == []


def test_a_first_attempt_takes_nothing_back():
    retries = Retries()
    retries.fail(asked(FIRST), charge(1), 0.0)
    assert retries.succeed(asked(FIRST), charge(2), REPLY, 0.0) == []


@pytest.mark.parametrize("reply", [None, LONG])
def test_an_answer_that_cannot_be_given_again_is_taken_back_but_not_without_end(reply):
    retries = Retries()
    told = [retries.succeed(asked(KEYED), charge(number), reply, 0.0) for number in range(5)]
    assert told == [[], [charge(0)], [charge(1)], [], []]


def test_an_answer_that_was_forgotten_for_its_bytes_is_taken_back():
    retries = Retries()
    for number in range(65):
        retries.succeed(asked(FIRST, body=b"%d" % number), charge(number), Reply(200, (), bytes(REPLY_BYTES_MAX)), 0.0)
    assert retries.reply(asked(AGAIN, body=b"0"), 0.0) is None
    assert retries.succeed(asked(AGAIN, body=b"0"), charge(99), REPLY, 0.0) == [charge(0)]
