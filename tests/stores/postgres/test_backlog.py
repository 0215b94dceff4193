"""A company has more due holds than one transaction closes: they are closed in pieces, and every answer is as ever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kvot.core.errors import StoreUnavailable
from kvot.core.model import EventColumns, NewEvent, NewHold, Status
from kvot.stores.postgres import PostgresStore
from kvot.stores.postgres import writes as writes_module
from tests.conformance.scene import COMPANY, HOUR, OTHER, T0
from tests.conformance.script import play_script
from tests.postgres.databases import run

from .test_faults import Fault, engine_with, plant
from .test_trouble import database_of

ONE_AT_A_TIME = Fault("a piece of one hold", "closings_max", "SELECT 500", "SELECT 1", caught_by="nothing: it is none")
LOST = """INSERT INTO kvot.company(company_id, clock) VALUES ('{company}', {at}) ON CONFLICT DO NOTHING;
    INSERT INTO kvot.hold SELECT '{company}', 'lost-' || n, 2, 1, true, n % 4 > 0, 0, {at}, {at} + n % 1000, 'open'
        FROM generate_series(1, {count}) n;
    UPDATE kvot.company SET held = 2 * {count}, due_at = {at}, hold_span_ms = 1000 WHERE company_id = '{company}'"""
LATER = T0 + HOUR


async def lose(url: str, count: int, company: str = COMPANY) -> None:
    """Holds of two tokens that nobody ended, three of four of them sent."""
    await run(database_of(url), LOST.format(company=company, at=T0, count=count))


async def test_a_company_with_more_due_holds_than_a_statement_has_time_for_goes_on(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writes_module, "BACKLOG_S", 60.0)  # one write closes them all, also on a busy machine
    await lose(url, 24_000)
    before = await store.usage(COMPANY, now_ms=LATER)
    decision = await store.reserve(COMPANY, NewHold("h", 10, 60_000), now_ms=LATER)
    assert (decision.status, decision.usage) == (Status.DONE, replace(before, tokens_held=10))
    assert before.tokens_used == 36_000
    assert (await store.verify(COMPANY, now_ms=LATER)).differences == ()
    assert await store.expire(now_ms=LATER) == 0


@pytest.fixture
async def one_at_a_time(store: PostgresStore, url: str) -> AsyncIterator[PostgresStore]:
    await plant(url, ONE_AT_A_TIME)
    await lose(url, 8)
    await lose(url, 8, OTHER)
    yield store
    await plant(url, ONE_AT_A_TIME._replace(right=ONE_AT_A_TIME.wrong, wrong=ONE_AT_A_TIME.right))


async def test_expire_goes_on_until_none_is_left(one_at_a_time: PostgresStore):
    assert await one_at_a_time.expire(now_ms=LATER) == 16
    assert (await one_at_a_time.usage(OTHER, now_ms=LATER)).tokens_used == 12


async def test_a_batch_over_companies_that_are_behind_is_recorded(one_at_a_time: PostgresStore):
    batch = EventColumns.of((each, NewEvent(f"e{number}", 1)) for each in (COMPANY, OTHER) for number in range(3))
    assert set(await one_at_a_time.record_many(batch, now_ms=LATER)) == {Status.DONE}
    assert (await one_at_a_time.usage(COMPANY, now_ms=LATER)).tokens_used == 15


async def test_of_many_who_come_at_once_each_has_its_answer(one_at_a_time: PostgresStore):
    events = [(each, NewEvent(f"e{number}", 1)) for number in range(20) for each in (COMPANY, OTHER)]
    answers = await asyncio.gather(*(one_at_a_time.record(*each, now_ms=LATER) for each in events))
    assert [answer.usage.tokens_used for answer in answers[:2]] == [13, 13]
    assert {answer.status for answer in answers} == {Status.DONE}


async def test_what_takes_too_long_is_refused_and_what_was_closed_stays_closed(
    one_at_a_time: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writes_module, "BACKLOG_S", 0.0)
    with pytest.raises(StoreUnavailable, match="closing thousands of holds that ran out"):
        await one_at_a_time.record(COMPANY, NewEvent("e", 1), now_ms=LATER)
    monkeypatch.undo()
    assert (await one_at_a_time.record(COMPANY, NewEvent("e", 1), now_ms=LATER)).status is Status.DONE


async def test_charges_that_the_total_has_no_room_for_are_not_made(store: PostgresStore, url: str):
    await store.record(COMPANY, NewEvent("huge", 2**63 - 6), now_ms=T0)
    await lose(url, 7)
    assert await store.expire(now_ms=LATER) == 7
    assert (await store.usage(COMPANY, now_ms=LATER)).tokens_used == 2**63 - 2
    assert (await store.verify(COMPANY, now_ms=LATER)).differences == ()


def test_closing_one_hold_at_a_time_answers_as_the_oracle_does(server: object, tmp_path: Path):
    play_script(engine_with(ONE_AT_A_TIME), lives=25)
