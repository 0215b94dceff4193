"""Every kept number, made untrue behind the engine's back, is found, and its company admits nothing more."""

import pytest

from kvot.core.budget import Budget
from kvot.core.clock import LEAP_MAX_MS
from kvot.core.model import CallDetail, Correction, Difference, NewEvent, NewHold, Status

from .conftest import COMPANY, OTHER, T0

HOUR = 3_600_000

DAMAGE = [
    "UPDATE point SET cum = cum + 1 WHERE at = (SELECT min(at) FROM point)",
    "UPDATE point SET cum = cum + 1 WHERE at = (SELECT max(at) FROM point)",
    "UPDATE point SET at = at + 1 WHERE at = (SELECT min(at) FROM point)",
    "DELETE FROM point WHERE at = (SELECT min(at) FROM point)",
    "DELETE FROM point",
    "INSERT INTO point SELECT company_no, at + 1, cum + 1 FROM point LIMIT 1",
    "UPDATE late SET tokens = tokens + 1 WHERE level = 0",
    "UPDATE late SET tokens = tokens - 1 WHERE level = 1",
    "UPDATE late SET tokens = tokens + 1 WHERE level = 2",
    "UPDATE late SET slot = slot + 1 WHERE level = 3",
    "DELETE FROM late",
    "DELETE FROM event WHERE event_id = 'e1'",
    "DELETE FROM event WHERE event_id = 'late'",
    "INSERT INTO event SELECT company_no, 'added', at, 7, 1, 0, 0, 0, 1, 1, 1, 1, NULL, NULL, NULL FROM event LIMIT 1",
    "UPDATE rollup SET tokens = tokens + 1",
    "UPDATE rollup SET events = events + 1",
    "UPDATE rollup SET input_tokens = input_tokens + 1",
    "UPDATE rollup SET output_tokens = output_tokens + 1",
    "UPDATE rollup SET label_set_no = label_set_no + 5",
    "DELETE FROM rollup",
    "UPDATE hold SET amount = amount + 1 WHERE state = 0",
    "UPDATE company SET held = held - 1",
    "UPDATE company SET due_at = due_at + 1",
    "UPDATE company SET due_at = NULL",
    "UPDATE company SET hold_span_ms = 0",
    "UPDATE company SET head_at = head_at + 1",
    "UPDATE company SET head_cum = head_cum + 1",
    "UPDATE company SET floor_cum = floor_cum + 1",
    "UPDATE company SET floor_late = floor_late + 1",
    "UPDATE company SET late_events = 0",
    "UPDATE company SET late_tokens = late_tokens + 1",
    "UPDATE company SET token_limit = token_limit + 1",
    "UPDATE company SET window_days = window_days + 1",
    "DELETE FROM budget",
]


@pytest.fixture
async def lived_in(store):
    """A company with something in every table."""
    await store.set_budget(COMPANY, Budget(10_000, 30), actor="operator", reason=None, now_ms=T0)
    for number in range(1, 4):
        detail = CallDetail(model="m", input_tokens=number, output_tokens=1)
        await store.record(COMPANY, NewEvent(f"e{number}", 10, detail=detail), now_ms=T0 + number * HOUR)
    now_ms = T0 + 4 * HOUR
    await store.record(COMPANY, NewEvent("late", 5, T0 + 10), now_ms=now_ms)
    await store.correct(COMPANY, Correction("c1", "e1", -3, "operator"), now_ms=now_ms)
    await store.reserve(COMPANY, NewHold("h1", 100, 60_000), now_ms=now_ms)
    await store.reserve(COMPANY, NewHold("h2", 100, 90_000), now_ms=now_ms)
    return store


async def test_an_honest_ledger_proves_itself(lived_in):
    found = await lived_in.verify(COMPANY, now_ms=T0)
    assert found.differences == ()
    assert (found.events, found.tokens) == (5, 32)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_and_puts_the_company_in_doubt(lived_in, damage):
    now_ms = T0 + 4 * HOUR
    lived_in._write_connection.execute(damage)
    assert (await lived_in.verify(COMPANY, now_ms=now_ms)).differences
    usage = await lived_in.usage(COMPANY, now_ms=now_ms)
    assert usage.in_doubt
    assert not usage.is_within_budget
    assert (await lived_in.reserve(COMPANY, NewHold("h3", 1, 60_000), now_ms=now_ms)).status is Status.IN_DOUBT


async def test_a_floor_above_what_is_kept_is_found(lived_in):
    lived_in._write_connection.execute("UPDATE company SET floor_at = head_at")
    found = await lived_in.verify(COMPANY, now_ms=T0)
    assert Difference("event, at or below the floor", 0, 5) in found.differences


async def test_a_mended_ledger_is_no_longer_in_doubt(lived_in):
    lived_in._write_connection.execute("UPDATE company SET held = held + 1")
    await lived_in.verify(COMPANY, now_ms=T0)
    lived_in._write_connection.execute("UPDATE company SET held = held - 1")
    assert (await lived_in.verify(COMPANY, now_ms=T0)).differences == ()
    assert not (await lived_in.usage(COMPANY, now_ms=T0)).in_doubt


async def test_one_company_in_doubt_leaves_the_others_alone(lived_in):
    await lived_in.record(OTHER, NewEvent("e1", 10), now_ms=T0)
    lived_in._write_connection.execute("UPDATE point SET cum = cum + 1 WHERE company_no = 1")
    assert (await lived_in.verify(OTHER, now_ms=T0)).differences == ()
    assert not (await lived_in.usage(OTHER, now_ms=T0)).in_doubt


async def test_a_pruned_ledger_proves_itself(lived_in):
    later_ms = T0 + 40 * 24 * HOUR
    await lived_in.prune(COMPANY, later_ms, now_ms=later_ms)
    await lived_in.record(COMPANY, NewEvent("e9", 10), now_ms=later_ms)
    found = await lived_in.verify(COMPANY, now_ms=later_ms)
    assert found.differences == ()
    assert found.events == 1


async def test_an_event_cannot_be_edited(lived_in):
    with pytest.raises(Exception, match="an event is never changed"):
        lived_in._write_connection.execute("UPDATE event SET tokens = 0")


TABLES = ["budget", "point", "late", "label_set", "event", "hold", "rollup"]


async def test_rows_of_a_company_whose_own_row_is_gone_are_named_by_table(lived_in):
    count = "SELECT count(*) FROM {} WHERE company_no = 1"
    rows = {each: lived_in._reader.number(count.format(each)) for each in TABLES}
    lived_in._write_connection.execute("DELETE FROM company")
    found = await lived_in.verify_shared(now_ms=T0 + 4 * HOUR)
    assert found.differences == tuple(
        (None, Difference(f"{each}, of company_no 1, which has no row of its own", rows[each], 0)) for each in TABLES
    )
    assert all(rows.values())


async def test_a_clock_that_is_ahead_is_named_with_its_company_and_puts_nobody_in_doubt(lived_in):
    now_ms = T0 + 4 * HOUR
    await lived_in.record(OTHER, NewEvent("e1", 10), now_ms=now_ms)
    ahead_ms = now_ms + LEAP_MAX_MS + 1
    lived_in._write_connection.execute("UPDATE company SET clock = ? WHERE company_no = 1", (ahead_ms,))
    expected = ((COMPANY, Difference("company clock", ahead_ms, now_ms)),)
    assert (await lived_in.verify_shared(now_ms=now_ms)).differences == expected
    assert (await lived_in.verify_shared(COMPANY, now_ms=now_ms)).differences == expected
    assert (await lived_in.verify_shared(OTHER, now_ms=now_ms)).differences == ()
    assert (await lived_in.verify_shared(now_ms=now_ms + 1)).differences == ()
    assert not (await lived_in.usage(COMPANY, now_ms=now_ms)).in_doubt
