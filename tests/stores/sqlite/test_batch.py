"""The law of `record_many`: one by one, in order, and the same answers and the same ledger come of it."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kvot.core.budget import Rules
from kvot.core.model import TOKENS_MAX, TOTAL_MAX, CallDetail, EventColumns, NewEvent, NewHold, Source, Status
from kvot.stores.sqlite import SqliteStore

from .conftest import COMPANY, OTHER, T0

DAY = 86_400_000
RULES = Rules(retention_days=40)
GUID = "0b3c1e52-9a77-4f0e-8b1d-3f2a6c5d4e7f"
EDGES = (0, -1, -30 * DAY, -40 * DAY, 300_000, -3_600_000, -(1 << 24))
KEPT = ("event", "company", "point", "late", "rollup", "hold", "label_set")

instants = st.none() | st.builds(lambda edge, off: T0 + edge + off, st.sampled_from(EDGES), st.integers(-1, 1))
details = st.builds(
    lambda model, tokens: CallDetail(model=model, input_tokens=tokens),
    st.sampled_from([None, "m", "n"]),
    st.sampled_from([None, 0, 7]),
)
new_events = st.builds(
    NewEvent,
    st.sampled_from(["a", "b", "c", GUID, GUID.upper()]),
    st.sampled_from([1, 2, TOKENS_MAX]),
    instants,
    st.sampled_from(Source),
    details,
    receipt=st.none(),  # events in batches have none
)
batches = st.lists(st.tuples(st.sampled_from([COMPANY, OTHER]), new_events), max_size=12)


def contents(store):
    """Every row that tells of events; where they were counted may differ, what they add up to may not."""
    rows = store._reader.execute("SELECT * FROM event ORDER BY company_no, event_id").fetchall()
    rollup = store._reader.execute("SELECT * FROM rollup ORDER BY 1, 2, 3, 4").fetchall()
    totals = store._reader.execute("SELECT company_id, clock, head_cum + late_tokens, held FROM company").fetchall()
    return rows, rollup, totals


async def prepare(folder: str, name: str, room: int) -> SqliteStore:
    """A ledger with an event, a hold that will be due, a floor, and room for so many tokens only."""
    store = SqliteStore.open(Path(folder) / name, RULES)
    await store.record(COMPANY, NewEvent("a", 1, T0 - 1), now_ms=T0 - 1)
    await store.reserve(COMPANY, NewHold("h", 5, 1, dispatched=True), now_ms=T0 - 2)
    await store.prune(COMPANY, T0 - 35 * DAY, now_ms=T0 - 2)
    limit = "UPDATE company SET head_cum = head_cum + ?1, floor_cum = floor_cum + ?1 WHERE company_no = 1"
    store._write_connection.execute(limit, (TOTAL_MAX - 6 - room,))
    store._write_connection.execute("UPDATE point SET cum = cum + ?", (TOTAL_MAX - 6 - room,))
    return store


async def compare(batch, room):
    with tempfile.TemporaryDirectory() as folder:
        one, many = await prepare(folder, "one", room), await prepare(folder, "many", room)
        try:
            alone = [(await one.record(company, event, now_ms=T0)).status for company, event in batch]
            assert await many.record_many(EventColumns.of(batch), now_ms=T0) == alone
            assert contents(many) == contents(one)
            for company in (COMPANY, OTHER):
                assert await many.usage(company, now_ms=T0) == await one.usage(company, now_ms=T0)
                assert (await many.verify(company, now_ms=T0)).differences == ()
        finally:
            await one.close()
            await many.close()


@settings(max_examples=60, deadline=None)
@given(batches, st.sampled_from([TOKENS_MAX * 100, TOKENS_MAX, 3]))
def test_a_batch_is_as_if_recorded_one_by_one(batch, room):
    asyncio.run(compare(batch, room))


async def test_an_import_of_hours_of_two_companies_is_as_if_recorded_one_by_one():
    """The common import: in order of time, without labels, some counts unknown; more than two statements of rows."""
    details = [CallDetail(input_tokens=number % 3 or None, output_tokens=number) for number in range(250)]
    await compare(
        [
            (
                (COMPANY, OTHER)[number % 2],
                NewEvent(f"e{number}", 1 + number, T0 - DAY + number * 90_000, detail=detail),
            )
            for number, detail in enumerate(details)
        ],
        TOKENS_MAX,
    )


async def test_a_batch_taken_twice_counts_once(store):
    batch = [(COMPANY, NewEvent(f"e{number}", 1, T0 - number)) for number in range(100)]
    assert set(await store.record_many(EventColumns.of(batch), now_ms=T0)) == {Status.DONE}
    assert set(await store.record_many(EventColumns.of(batch), now_ms=T0)) == {Status.REPLAYED}
    assert (await store.usage(COMPANY, now_ms=T0)).tokens_used == 100


async def test_events_out_of_order_within_a_batch_join_the_chain(store):
    """So that an export in any order costs no more to import and to keep than one in order of time."""
    batch = [(COMPANY, NewEvent(f"e{number}", 1, T0 - number)) for number in range(100)]
    await store.record_many(EventColumns.of(batch), now_ms=T0)
    assert store._reader.number("SELECT count(*) FROM late") == 0
    assert store._reader.number("SELECT count(*) FROM point") == 100


async def test_an_empty_batch_is_no_write(store):
    assert await store.record_many(EventColumns.of([]), now_ms=T0) == []
    assert await store.companies() == []
