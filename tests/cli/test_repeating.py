"""`kvot record` over a path on which replies get lost: it counts once, and says how to make sure that it did."""

import re
import signal

import asyncpg
import pytest

from kvot.cli.repeating import once_more_if_lost, telling_id, telling_recorded
from kvot.client import Client
from kvot.contract.usage import AiChatUsageResponse, GetAiChatUsage
from kvot.core.errors import StoreUnavailable
from kvot.stores.postgres.errors import told
from tests.cli.support import ACME, start
from tests.client.conftest import clock, lossy, server  # noqa: F401 (fixtures)


@pytest.fixture
def record(kvot, lossy):  # noqa: F811
    where = ("--url", lossy.url, "--api-key", "super", "--company", ACME)
    return lambda *words, tokens=7: kvot.bare("record", "--tokens", tokens, *words, *where)


def used(server):  # noqa: F811
    with Client(f"http://{server.host}:{server.port}", ACME) as client:
        response = client.call(GetAiChatUsage())
    assert isinstance(response, AiChatUsageResponse)
    return response.tokens_used


def test_after_a_lost_reply_it_is_asked_again_and_counts_once(record, lossy, server):  # noqa: F811
    for words in ((), ("--at", "2027-01-14")):
        lossy.losses = 1
        ran = record(*words)
        assert (ran.code, lossy.losses) == (0, 0), ran.err
    assert used(server) == 14


@pytest.mark.parametrize("own", [(), ("--id", "chat-42")])
def test_where_nobody_knows_the_id_is_told_that_counts_once(record, lossy, server, own):  # noqa: F811
    lossy.losses = 3
    ran = record(*own)
    told = re.search(r"It may have been carried out: repeat it with (--id) (\S+)\.$", ran.err)
    assert told is not None
    assert (ran.code, told[2] in own or not own) == (1, True)
    assert record(told[1], told[2]).code == 0
    assert used(server) == 7


def test_whoever_interrupts_it_is_told_too(lossy, server):  # noqa: F811
    lossy.may_answer.clear()
    where = ("--url", lossy.url, "--api-key", "super", "--company", ACME)
    process = start("record", "--tokens", 7, "--id", "chat-42", *where)
    assert lossy.is_asked.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    lossy.may_answer.set()
    assert (process.returncode, out, err.count("\n"), "--id chat-42" in err) == (130, "", 1, True)
    assert used(server) == 7


def test_what_was_never_sent_is_not_recorded(kvot):
    ran = kvot.bare("record", "--tokens", 7, "--company", ACME, "--url", "http://127.0.0.1:1")
    assert (ran.code, "carried out" in ran.err) == (1, False)


@pytest.mark.parametrize(("tokens", "event_id"), [(7, "é"), (7, "a\nb"), (10**20, "ok"), (0, "ok")])
def test_what_no_ledger_takes_is_refused_as_a_database_refuses_it(kvot, record, tokens, event_id):
    ran = record("--id", event_id, tokens=tokens)
    here = kvot("record", "--company", ACME, "--tokens", tokens, "--id", event_id)
    assert (ran.code, ran.err) == (1, here.err)


def test_no_server_is_asked_for_a_hold_that_no_address_can_name(kvot, lossy):  # noqa: F811
    for hold_id in (".", ".."):
        ran = kvot.bare("holds", "release", hold_id, "--yes", "--company", ACME, "--url", lossy.url)
        assert (ran.code, ran.err) == (1, "kvot: No hold has this id.\n")


TELLING = "It may have been carried out: repeat it with --id x."

# What a database server does to a write, and all that is said of it.
WRITES = [
    (asyncpg.LockNotAvailableError(), "D is busy: a lock was not given in time. Nothing was done; try again."),
    (asyncpg.QueryCanceledError(), "D took too long and was stopped. Nothing was done; try again."),
    (
        asyncpg.ReadOnlySQLTransactionError(),
        "D is read-only: a replica, most likely. Name the primary in the database's URL.",
    ),
    (TimeoutError(), f"D did not answer in time. {TELLING}"),
    (ConnectionResetError(), f"D cannot be reached, or the connection was lost. {TELLING}"),
]


@pytest.mark.parametrize(("error", "said"), WRITES, ids=lambda each: type(each).__name__)
def test_a_database_s_word_that_nothing_was_done_stands_and_doubt_is_told_once(error, said):
    with pytest.raises(StoreUnavailable) as raised, telling_id("x"):
        raise told("D", error) from error
    assert raised.value.message == said


def test_a_question_that_fails_once_the_event_is_recorded_takes_nothing_of_that_back():
    busy = asyncpg.LockNotAvailableError()
    with pytest.raises(StoreUnavailable) as raised, telling_recorded():
        raise told("D", busy) from busy
    assert raised.value.message.startswith("The event is recorded, but what is used now could not be asked: D is busy")


def test_a_second_attempt_that_did_nothing_says_nothing_of_the_first():
    errors = [TimeoutError(), asyncpg.LockNotAvailableError()]

    def ask():
        error = errors.pop(0)
        raise told("D", error) from error

    with pytest.raises(StoreUnavailable) as raised, telling_id("x"):
        once_more_if_lost(ask)
    assert raised.value.message == f"D did not answer in time. {TELLING}"
