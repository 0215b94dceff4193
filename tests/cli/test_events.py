"""`kvot events`."""

import asyncio
import json

import pytest

from kvot.core.budget import Rules
from kvot.core.model import CallDetail, NewHold, Settlement, Source
from kvot.stores.postgres import PostgresStore, Time
from kvot.stores.sqlite import SqliteStore
from kvot.wire.scalars import shortest_date
from tests.cli.support import ACME, NOW_MS, OTHER
from tests.cli.test_backup import filled
from tests.cli.test_postgres import postgres
from tests.cli.test_serve import make_key, serving

__all__ = ["filled", "postgres"]

RECEIPT = {"endpoint": "chat", "finish": "stop", "raw_usage": {"prompt_tokens": 1_000, "completion_tokens": 234}}


async def call(opened, receipt):
    """A call of the gateway's, as it ends in the ledger."""
    await opened.reserve(ACME, NewHold("h", 9_999, 60_000, True, "openai", "gpt-x", "ann"), now_ms=NOW_MS)
    detail = CallDetail(input_tokens=1_000, output_tokens=234, cached_tokens=0)
    await opened.settle(ACME, "h", Settlement(1_234, Source.PARTIAL, detail, receipt), now_ms=NOW_MS)
    await opened.close()


@pytest.fixture
def called(kvot):
    asyncio.run(call(SqliteStore.open(kvot.database, Rules()), json.dumps(RECEIPT)))
    return kvot


CALLED = {
    **{"id": "hold→h", "at": shortest_date(NOW_MS), "tokens": 1_234, "kind": "settlement", "source": "partial"},
    **{"provider": "openai", "model": "gpt-x", "user": "ann"},
    **{"inputTokens": 1_000, "outputTokens": 234, "cachedTokens": 0},
    "receipt": RECEIPT,
}


def test_programs_get_all_that_is_kept_of_a_call(called):
    assert called("events", "--company", ACME, "--json").document == {"results": [CALLED]}


def test_of_postgresql_too(kvot, postgres):
    asyncio.run(call(PostgresStore.open(postgres, Rules(), time=Time.GIVEN), json.dumps(RECEIPT)))
    ran = kvot.bare("events", "--company", ACME, "--json", "--database", postgres)
    assert ran.document == {"results": [CALLED]}


async def ran_out(opened):
    """A call whose hold ran out a minute ago, and nothing was written since."""
    hold = NewHold("h", 80, 60_000, True, "openai", "gpt-x", "ann")
    await opened.reserve(ACME, hold, now_ms=NOW_MS - 120_000)
    await opened.close()


CHARGE = {
    **{"id": "hold→h", "at": shortest_date(NOW_MS - 60_000), "tokens": 80, "kind": "expiry", "source": "estimated"},
    **{"provider": "openai", "model": "gpt-x", "user": "ann"},
}


def test_a_charge_is_listed_from_when_its_hold_ran_out_on_and_the_list_writes_nothing(kvot):
    asyncio.run(ran_out(SqliteStore.open(kvot.database, Rules())))
    before = kvot.database.read_bytes()
    for _ in range(2):
        assert kvot("events", "--company", ACME, "--json").document == {"results": [CHARGE]}
    assert kvot("events", "--company", ACME, "--until", CHARGE["at"], "--json").document == {"results": [CHARGE]}
    assert kvot("events", "--company", ACME, "--since", NOW_MS - 59_999).out == "No events.\n"
    assert kvot.database.read_bytes() == before
    assert kvot("usage", "--company", ACME, "--json").document["tokensUsed"] == 80


def test_a_charge_is_listed_beside_a_server_that_writes_nothing(kvot):
    make_key(kvot, "--role", "superadmin")
    asyncio.run(ran_out(SqliteStore.open(kvot.database, Rules())))
    with serving(kvot):
        assert kvot("events", "--company", ACME, "--json").document == {"results": [CHARGE]}


def test_in_postgresql_its_own_clock_says_what_ran_out(kvot, postgres):
    asyncio.run(ran_out(PostgresStore.open(postgres, Rules(), time=Time.GIVEN)))
    ran = kvot.bare("events", "--company", ACME, "--json", "--database", postgres)
    assert ran.document == {"results": [CHARGE]}


def test_people_read_a_line_for_each(called):
    header, line = called("events", "--company", ACME.upper()).out.splitlines()
    assert header.split()[:6] == ["at", "tokens", "input", "cached", "output", "reasoning"]
    assert header.split()[6:] == ["source", "provider", "model", "user", "id"]
    when = shortest_date(NOW_MS)
    assert line.split() == [when, "1,234", "1,000", "0", "234", "-", "partial", "openai", "gpt-x", "ann", "hold→h"]


def test_the_newest_come_first_and_a_time_that_was_listed_goes_on_from_there(filled):
    listed = filled("events", "--company", ACME, "--json").document["results"]
    times = [shortest_date(at_ms) for at_ms in (NOW_MS - 5, NOW_MS - 99, NOW_MS - 86_400_000)]
    assert [each["at"] for each in listed] == times
    assert {(each["tokens"], each["kind"], each["source"]) for each in listed} == {(7, "usage", "imported")}
    for asked, found in [
        (("--limit", 1), times[:1]),
        (("--until", times[1]), times[1:]),
        (("--until", times[1], "--limit", 1), times[1:2]),
        (("--since", times[1]), times[:2]),
        (("--since", times[1], "--until", times[1]), times[1:2]),
    ]:
        listed = filled("events", "--company", ACME, *asked, "--json").document["results"]
        assert [each["at"] for each in listed] == found, asked


def test_a_company_without_any_has_none(called):
    assert called("events", "--company", OTHER).out == "No events.\n"
    assert called("events", "--company", OTHER, "--json").document == {"results": []}


def test_it_reads_beside_a_server(filled):
    with serving(filled):
        assert len(filled("events", "--company", ACME).out.splitlines()) == 1 + 3


def test_a_receipt_that_is_no_json_is_told_as_it_is(kvot):
    asyncio.run(call(SqliteStore.open(kvot.database, Rules()), "odd"))
    assert kvot("events", "--company", ACME, "--json").document["results"][0]["receipt"] == "odd"
