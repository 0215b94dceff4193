"""Repeated calls: known as such, answered again, forgotten within bounds."""

from kvot.gateway.retries import ENTRIES_MAX, KEPT_S, REPLY_BYTES_MAX, Attempt, Charged, Reply, Retries, attempt

FIRST, AGAIN = {b"x-stainless-retry-count": b"0"}, {b"x-stainless-retry-count": b"1"}
REPLY = Reply(200, (), b"hello")


def asked(headers, body=b"{}", credential="key1", path="/v1/chat/completions", company="c1") -> Attempt:
    found = attempt((credential, company), path, headers, body)
    assert found is not None
    return found


def test_a_retry_is_given_the_reply_to_its_first_attempt():
    retries = Retries()
    retries.keep(asked(FIRST), REPLY, 0.0)
    assert retries.reply(asked(AGAIN), 1.0) == REPLY


def test_the_same_words_said_again_on_purpose_are_another_call():
    retries = Retries()
    retries.keep(asked(FIRST), REPLY, 0.0)
    assert retries.reply(asked(FIRST), 1.0) is None


def test_an_idempotency_key_makes_the_same_call_of_both():
    retries, keyed = Retries(), {b"idempotency-key": b"turn-7"}
    retries.keep(asked(keyed), REPLY, 0.0)
    assert retries.reply(asked(keyed), 1.0) == REPLY
    assert retries.reply(asked(keyed, body=b'{"n":2}'), 1.0) is None


def test_nobody_is_given_the_reply_to_another_credential_company_body_or_address():
    retries = Retries()
    retries.keep(asked(FIRST), REPLY, 0.0)
    assert retries.reply(asked(AGAIN, credential="key2"), 1.0) is None
    assert retries.reply(asked(AGAIN, company="c2"), 1.0) is None
    assert retries.reply(asked(AGAIN, body=b"{ }"), 1.0) is None
    assert retries.reply(asked(AGAIN, path="/v1/responses"), 1.0) is None


def test_a_client_that_says_nothing_of_retries_has_none():
    assert attempt(("key1", "c1"), "/v1/chat/completions", {}, b"{}") is None


def test_replies_are_forgotten_with_time():
    retries = Retries()
    retries.keep(asked(FIRST), REPLY, 0.0)
    assert retries.reply(asked(AGAIN), KEPT_S) is None


def test_what_is_kept_has_a_bound_in_bytes_and_in_number():
    retries = Retries()
    retries.keep(asked(FIRST), Reply(200, (), bytes(REPLY_BYTES_MAX + 1)), 0.0)
    assert retries.reply(asked(AGAIN), 0.0) is None
    for number in range(65):  # 64 of the largest are all that fit
        retries.keep(asked(FIRST, body=b"%d" % number), Reply(200, (), bytes(REPLY_BYTES_MAX)), 0.0)
    assert retries.reply(asked(AGAIN, body=b"0"), 0.0) is None
    assert retries.reply(asked(AGAIN, body=b"1"), 0.0) is not None
    for number in range(ENTRIES_MAX):
        retries.keep(asked(FIRST, body=b"small %d" % number), REPLY, 0.0)
    assert retries.reply(asked(AGAIN, body=b"1"), 0.0) is None


def test_what_was_charged_for_nothing_is_told_once_and_only_to_a_retry():
    retries = Retries()
    retries.suspect(asked(FIRST), Charged("h1", 10), 0.0)
    retries.suspect(asked(AGAIN), Charged("h2", 10), 0.0)
    retries.suspect(asked(AGAIN), Charged("h3", 10), 0.0)
    assert retries.take_back(asked(FIRST)) == []
    assert [each.hold_id for each in retries.take_back(asked(AGAIN))] == ["h2", "h3"]
    assert retries.take_back(asked(AGAIN)) == []
