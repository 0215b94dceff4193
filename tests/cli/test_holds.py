"""`kvot holds`: the list that says what is held, and the release that says what becomes of the charge."""

import asyncio
import re
import sqlite3
from contextlib import closing

import pytest

from kvot.bootstrap import open_services
from kvot.core.model import NewHold, Settlement
from kvot.operations.ids import new_gateway_id
from kvot.settings import Settings
from tests.cli.support import ACME, OTHER
from tests.cli.test_serve import make_key, serving

GATEWAYS = new_gateway_id(None)
TTL_MS = 600_000


async def _in_ledger(database, work):
    house = open_services(Settings.load({}, None, {"database": f"sqlite:///{database}"}))
    try:
        await work(house.services.ledger)
    finally:
        await house.close()


def hold(kvot, *holds):
    async def reserve(ledger):
        for each in holds:
            await ledger.reserve(ACME, each)

    asyncio.run(_in_ledger(kvot.database, reserve))


def settle(kvot, hold_id, tokens):
    asyncio.run(_in_ledger(kvot.database, lambda ledger: ledger.settle(ACME, hold_id, Settlement(tokens))))


ONE = NewHold("one", 1_200, TTL_MS, dispatched=True, model="m", user="ann", feature="chat")
OURS = NewHold(GATEWAYS, 300, TTL_MS, dispatched=True, provider="openai", model="m")
RAN_OUT = NewHold("ran-out", 70, 1, dispatched=True)


def test_open_holds_are_listed_with_who_made_them_and_how_long_they_last(kvot):
    hold(kvot, ONE, OURS)
    out = kvot("holds", "list", "--company", ACME).out
    header, *rows = (line.split("  ") for line in out.splitlines())
    assert header[0] == "id"
    words = [[word.strip() for word in row if word.strip()] for row in rows]
    assert {tuple(row[:7]) for row in words} == {
        ("one", "caller", "1,200", "open", "m", "ann", "chat"),
        (GATEWAYS, "gateway", "300", "open", "m", "-", "-"),
    }
    assert all(re.fullmatch(r"\d+ s", row[7]) and re.fullmatch(r"\d+ min( \d+ s)?", row[8]) for row in words)


def test_the_list_is_one_document_for_programs(kvot):
    hold(kvot, ONE)
    document = kvot("holds", "list", "--company", ACME, "--json").document
    (each,) = document["results"]
    assert (each["id"], each["tokens"], each["state"], each["userId"]) == ("one", 1_200, "open", "ann")
    assert (each["isOfGateway"], document["hasMore"]) == (False, False)


def test_more_holds_than_are_listed_are_said_to_be_there(kvot):
    hold(kvot, ONE, OURS)
    ran = kvot("holds", "list", "--company", ACME, "--limit", 1)
    assert (len(ran.out.splitlines()), "More than these 1" in ran.err) == (2, True)
    assert kvot("holds", "list", "--company", ACME, "--limit", 0).code == 1


def test_no_open_hold_is_said_in_words(kvot):
    hold(kvot, RAN_OUT)
    assert kvot("holds", "list", "--company", ACME).out == "No hold is open.\n"


RELEASES = [
    (ONE, "Nothing is charged for it", "none", 0),
    (OURS, "charged what it uses all the same", "none", 0),
    (RAN_OUT, "The charge is taken back", "70 tokens taken back", 0),
]


@pytest.mark.parametrize(("new", "said", "charge", "used"), RELEASES)
def test_a_release_says_what_becomes_of_the_charge_before_and_after(kvot, new, said, charge, used):
    hold(kvot, new)
    asked = kvot("holds", "release", new.hold_id, "--company", ACME)
    assert (asked.code, asked.out, said in asked.err, "--yes" in asked.err) == (2, "", True, True)
    out = kvot("holds", "release", new.hold_id, "--company", ACME, "--yes").out
    told = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines()}
    assert told == {"hold": new.hold_id, "state": "released", "charge": charge, "used": str(used), "held": "0"}


def test_what_is_settled_or_unknown_is_not_released(kvot):
    hold(kvot, ONE)
    settle(kvot, "one", 5)
    ran = kvot("holds", "release", "one", "--company", ACME, "--yes")
    assert (ran.code, "settled already" in ran.err) == (1, True)
    unasked = kvot("holds", "release", "one", "--company", ACME)
    assert (unasked.code, unasked.err) == (1, ran.err)
    assert kvot("holds", "release", "nonsense", "--company", ACME, "--yes").code == 1
    assert "used           5" in kvot("usage", "--company", ACME).out


def test_through_a_server_an_operator_lists_and_releases_and_a_company_does_not(kvot):
    operator, own = make_key(kvot, "--role", "superadmin"), make_key(kvot, "--company", ACME)
    hold(kvot, ONE, OURS)
    with serving(kvot) as server:
        as_operator = ("--company", ACME, "--url", server.url, "--api-key", operator, "--json")
        as_company = ("--company", ACME, "--url", server.url, "--api-key", own)
        assert kvot.bare("holds", "list", *as_company).code == 1
        assert "No hold has this id" in kvot.bare("holds", "release", GATEWAYS, "--yes", *as_company).err
        listed = kvot.bare("holds", "list", *as_operator).document["results"]
        assert {each["id"] for each in listed} == {"one", GATEWAYS}
        released = kvot.bare("holds", "release", GATEWAYS, "--yes", *as_operator).document
        assert (released["holdState"], released["tokensHeld"]) == ("released", 1_200)
        server.stop()


def test_a_server_closes_the_holds_of_companies_that_ask_for_nothing(kvot):
    operator = make_key(kvot, "--role", "superadmin")
    hold(kvot, NewHold("ran-out", 70, 1, dispatched=True))
    with serving(kvot) as server:
        where = ("--url", server.url, "--api-key", operator, "--company", OTHER)
        assert kvot.bare("record", "--tokens", 5, *where).code == 0  # a write, which comes after that of the start
        assert server.stop()[0] == 0
    with closing(sqlite3.connect(kvot.database)) as database:
        assert database.execute("SELECT count(*), sum(state = 0) FROM hold").fetchall() == [(1, 0)]
