"""Repeated calls: known as such, answered again by their key, taken back by their words, forgotten within bounds."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import Conflict
from kvot.core.model import Settlement
from kvot.gateway.retries import (
    ATTEMPTS_MAX,
    ENTRIES_MAX,
    KEPT_S,
    LOST_MAX,
    REPLY_BYTES_MAX,
    Attempt,
    Charged,
    Reply,
    Retries,
    attempt,
)

FIRST, AGAIN, THIRD = ({b"x-stainless-retry-count": b"%d" % count} for count in range(3))
KEYED = {b"idempotency-key": b"turn-7"}
REPLY = Reply(200, (), None, b"hello")
LARGEST = Reply(200, (), None, bytes(REPLY_BYTES_MAX))


def asked(headers, body=b"{}", credential="key1", path="/v1/chat/completions", company="c1") -> Attempt:
    found = attempt((credential, company), path, headers, body)
    assert found is not None
    return found


def keyed(name: bytes) -> Attempt:
    return asked({b"idempotency-key": name})


def charge(number: int) -> Charged:
    return Charged(f"h{number}", Settlement(10))


@pytest.mark.parametrize(
    ("headers", "has_key", "earlier"),
    [
        (FIRST, False, 0),
        (AGAIN, False, 1),
        (THIRD, False, 2),
        ({b"x-stainless-retry-count": b"9" * 5_000}, False, ATTEMPTS_MAX),
        ({b"x-stainless-retry-count": b"-1"}, False, 0),
        ({b"x-stainless-retry-count": b"one"}, False, 0),
        ({b"x-stainless-retry-count": b""}, False, 0),
        (KEYED, True, ATTEMPTS_MAX),
        (KEYED | FIRST, True, ATTEMPTS_MAX),
    ],
)
def test_what_a_client_says_of_earlier_attempts(headers, has_key, earlier):
    assert asked(headers)[2:] == (has_key, earlier)


def test_a_client_that_says_nothing_of_retries_has_none():
    assert attempt(("key1", "c1"), "/v1/chat/completions", {}, b"{}") is None


def test_without_a_key_no_answer_is_given_again_and_no_delivered_one_taken_back():
    retries = Retries()
    retries.succeed(asked(FIRST), None, 0.0)
    assert retries.reply(asked(AGAIN), 1.0) is None
    assert retries.succeed(asked(AGAIN), None, 1.0) == []


def test_an_idempotency_key_makes_the_same_call_of_all_as_often_as_it_is_used():
    retries = Retries()
    retries.succeed(asked(KEYED), REPLY, 0.0)
    assert [retries.reply(asked(KEYED | more), 1.0) for more in ({}, AGAIN, {}, FIRST)] == [REPLY] * 4


def test_a_key_that_was_given_to_one_call_is_refused_for_another_until_it_is_forgotten():
    retries = Retries()
    retries.succeed(asked(KEYED), REPLY, 0.0)
    with pytest.raises(Conflict, match="used before with another body") as refused:
        retries.reply(asked(KEYED, body=b'{"n":2}'), 1.0)
    assert refused.value.is_final
    assert retries.reply(asked(KEYED, body=b'{"n":2}'), KEPT_S) is None


OTHERS = [{"credential": "key2"}, {"company": "c2"}, {"path": "/v1/responses"}]


@pytest.mark.parametrize("other", OTHERS)
def test_nobody_is_given_the_reply_to_another_credential_company_or_address(other):
    retries = Retries()
    retries.succeed(asked(KEYED), REPLY, 0.0)
    assert retries.reply(asked(KEYED, **other), 1.0) is None


@pytest.mark.parametrize("other", [*OTHERS, {"body": b"{ }"}])
def test_nobody_takes_back_what_another_was_charged(other):
    retries = Retries()
    retries.lose(asked(FIRST), charge(1), 0.0)
    assert retries.succeed(asked(AGAIN, **other), None, 1.0) == []
    assert retries.succeed(asked(AGAIN), None, 1.0) == [charge(1)]


# What becomes of attempts of the same words, in order, each with its retry count; and what each that is delivered
# takes back. The numbers are those of the attempts.
SEQUENCES = {
    "a lost one is taken back once": ["0 lost", "1 delivered: 0", "1 delivered:"],
    "both lost ones of a call": ["0 lost", "1 lost", "2 delivered: 0 1"],
    "only as many as the count says": ["0 lost", "0 lost", "1 delivered: 1", "1 delivered: 0"],
    "a refused one was charged nothing": ["0 refused", "1 delivered:"],
    "a first attempt takes nothing back": ["0 lost", "0 delivered:", "1 delivered: 0"],
    "a delivered one stays": ["0 delivered:", "0 refused", "1 delivered:"],
    "a retry that is lost, too, leaves both": ["0 lost", "1 lost", "1 refused", "2 delivered: 0 1"],
    "at most two, whatever the count": ["0 lost", "1 lost", "2 lost", "3 delivered: 1 2"],
    "one may be lost while its retry is under way": ["0 delivered:", "0 lost", "1 delivered: 1"],
}


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_what_is_taken_back_without_a_key(sequence):
    retries = Retries()
    for number, step in enumerate(sequence):
        count, outcome, *expected = step.replace(":", "").split()
        at = asked({b"x-stainless-retry-count": count.encode()})
        if outcome == "lost":
            retries.lose(at, charge(number), 0.0)
        elif outcome == "delivered":
            assert retries.succeed(at, None, 0.0) == [charge(int(each)) for each in expected]


def test_what_lost_attempts_with_a_key_were_charged_is_told_once_and_the_last_two_of_them():
    retries = Retries()
    for number in range(3):
        retries.lose(asked(KEYED), charge(number), 0.0)
    assert retries.succeed(asked(KEYED), None, 0.0) == [charge(1), charge(2)]
    assert retries.succeed(asked(KEYED), None, 0.0) == []


def test_an_answer_that_was_kept_and_lost_is_taken_back_only_where_it_is_never_given():
    for is_given in (False, True):
        retries = Retries()
        retries.succeed(keyed(b"k"), REPLY, 0.0)
        retries.lose(keyed(b"k"), charge(1), 0.0)
        if is_given:
            assert retries.reply(keyed(b"k"), 0.0) == REPLY
        for number in range(64):  # so many of the largest leave no room for it
            retries.succeed(keyed(b"%d" % number), LARGEST, 0.0)
        assert retries.reply(keyed(b"k"), 0.0) is None
        assert retries.succeed(keyed(b"k"), REPLY, 0.0) == ([] if is_given else [charge(1)])


def test_all_is_forgotten_with_time():
    retries = Retries()
    retries.succeed(asked(KEYED), REPLY, 0.0)
    retries.lose(asked(FIRST), charge(1), 0.0)
    retries.lose(asked(FIRST), charge(2), 1.0)
    assert retries.reply(asked(KEYED), KEPT_S) is None
    assert retries.succeed(asked(THIRD), None, KEPT_S) == [charge(2)]


def test_what_is_kept_has_a_bound_in_bytes_and_in_number():
    retries = Retries()
    for number in range(65):  # 64 of the largest are all that fit
        retries.succeed(keyed(b"%d" % number), LARGEST, 0.0)
    assert retries.reply(keyed(b"0"), 0.0) is None
    assert retries.reply(keyed(b"1"), 0.0) is not None
    for number in range(ENTRIES_MAX):
        retries.lose(asked(FIRST, body=b"%d" % number), charge(1), 0.0)
    assert retries.reply(keyed(b"1"), 0.0) is None


def test_the_lost_attempts_of_the_same_words_have_a_bound():
    retries = Retries()
    for number in range(LOST_MAX + 1):
        retries.lose(asked(FIRST), charge(number), 0.0)
    told = [retries.succeed(asked(AGAIN), None, 0.0) for _ in range(LOST_MAX + 1)]
    assert told == [[charge(number)] for number in range(LOST_MAX, 0, -1)] + [[]]


OUTCOMES = st.sampled_from(["lost", "refused"])
CALLERS = st.lists(st.lists(OUTCOMES, max_size=ATTEMPTS_MAX), min_size=1, max_size=8)


@given(CALLERS, st.randoms(use_true_random=False))
def test_callers_of_the_same_words_pay_together_for_the_answers_that_they_got(callers, random):
    """Each meets what its list says and is then delivered, as official clients try twice more; in any order."""
    retries, charged, back, attempts = Retries(), list[Charged](), list[Charged](), Counter[int]()
    turns = [caller for caller, met in enumerate(callers) for _ in range(len(met) + 1)]
    random.shuffle(turns)
    for caller in turns:
        at = asked({b"x-stainless-retry-count": b"%d" % attempts[caller]})
        outcome = (*callers[caller], "delivered")[attempts[caller]]
        attempts[caller] += 1
        assert retries.reply(at, 0.0) is None
        if outcome != "refused":
            charged.append(charge(len(charged)))
        if outcome == "lost":
            retries.lose(at, charged[-1], 0.0)
        elif outcome == "delivered":
            back += retries.succeed(at, None, 0.0)
    assert len(set(back)) == len(back)
    assert len(charged) - len(back) == len(callers)


STEPS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["lost", "delivered"])), max_size=40)


@given(STEPS, st.booleans())
def test_whatever_clients_say_no_delivered_answer_is_taken_back_and_each_lost_one_once(steps, has_key):
    retries, lost, back = Retries(), set[Charged](), list[Charged]()
    for number, (count, outcome) in enumerate(steps):
        at = asked((KEYED if has_key else {}) | {b"x-stainless-retry-count": b"%d" % count})
        if outcome == "lost":
            retries.lose(at, charge(number), 0.0)
            lost.add(charge(number))
            continue
        told = retries.succeed(at, None, 0.0)
        assert len(told) <= (ATTEMPTS_MAX if has_key else min(count, ATTEMPTS_MAX))
        back += told
    assert len(set(back)) == len(back)
    assert set(back) <= lost


@given(st.lists(st.sampled_from(["lost", "kept and lost", "kept", "refused"]), max_size=12))
def test_the_attempts_of_a_key_pay_for_one_answer_and_what_was_lost_before_the_last_two(outcomes):
    retries, charged, back, is_kept = Retries(), 0, 0, False
    for number, outcome in enumerate(outcomes):
        if retries.reply(asked(KEYED), 0.0) is not None:
            assert is_kept
            continue
        charged += outcome != "refused"
        if outcome.startswith("kept"):
            back += len(retries.succeed(asked(KEYED), REPLY, 0.0))
            is_kept = True
        if outcome.endswith("lost"):
            retries.lose(asked(KEYED), charge(number), 0.0)
    lost_before = charged - is_kept
    assert charged - back == is_kept + (max(0, lost_before - ATTEMPTS_MAX) if is_kept else lost_before)
