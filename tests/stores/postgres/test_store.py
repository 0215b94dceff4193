"""What the engine does of its own: any text, the audit log, big batches."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from kvot.core.budget import Budget, Rules
from kvot.core.clock import LEAP_MAX_MS
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import ApiKey
from kvot.core.model import CallDetail, Correction, Difference, EventColumns, NewEvent, NewHold, Status
from kvot.core.provider_keys import SealedKey
from kvot.operations.ids import new_gateway_id, new_id
from kvot.stores import open_store
from kvot.stores.postgres import PostgresStore
from kvot.stores.postgres.encoding import from_text, to_text
from tests.conformance.scene import COMPANY, HOUR, OTHER, T0
from tests.postgres.databases import run

from .test_trouble import database_of

KEY = ApiKey("k1", b"hash", COMPANY, frozenset(), "a key", T0, "operator")


@pytest.mark.parametrize("text", ["", "plain", "a\0b", "\x1b", "\x1b0", "\0\x1b1\0", "漢字🙂"])
async def test_every_text_comes_back_as_it_was_sent(store: PostgresStore, text: str):
    assert from_text(to_text(text)) == text
    event = NewEvent("e", 1, None, detail=CallDetail(model=text, user=text))
    assert (await store.record(COMPANY, event, now_ms=T0)).status is Status.DONE
    assert (await store.record(COMPANY, event, now_ms=T0)).status is Status.REPLAYED
    shares = await store.breakdown(COMPANY, "model", first_hour=0, end_hour=T0, now_ms=T0)
    assert [share.label for share in shares] == [text]
    hold = (await store.reserve(COMPANY, NewHold("h", 1, 1000, False, feature=text), now_ms=T0)).hold
    assert hold is not None
    assert hold.feature == text


@pytest.mark.parametrize("text", ["\0", "\x1b", "漢"])
async def test_every_text_of_people_comes_back_too(store: PostgresStore, text: str):
    await store.set_budget(COMPANY, Budget(5, 3), actor=text, reason=text, now_ms=T0)
    (change,) = (await store.budget(COMPANY, now_ms=T0)).changes
    assert (change.actor, change.reason) == (text, text)
    key = KEY._replace(name=text, created_by=text)
    await store.add_key(key, actor=text, now_ms=T0)
    assert await store.find_key("k1") == key


async def test_four_labels_of_the_greatest_length_are_kept(store: PostgresStore):
    labels = [chr(0x1F600 + number) * 255 for number in range(4)]
    event = NewEvent("e", 1, None, detail=CallDetail._make([*labels, None, None, None, None]))
    assert (await store.record(COMPANY, event, now_ms=T0)).status is Status.DONE


async def test_a_breakdown_puts_the_most_first_then_by_label_and_what_has_none_last(store: PostgresStore):
    tokens = {"b": 5, "most": 9, "é": 5, "🙂": 5, "B": 5, None: 5, "": 5, "ba": 5, "least": 1}
    for number, (label, count) in enumerate(tokens.items()):
        event = NewEvent(f"e{number}", count, detail=CallDetail(user=label))
        await store.record(COMPANY, event, now_ms=T0)
    shares = await store.breakdown(COMPANY, "user", first_hour=0, end_hour=T0, now_ms=T0)
    assert [share.label for share in shares] == ["most", "", "B", "b", "ba", "é", "🙂", None, "least"]


async def test_its_lines_are_made_beside_the_loop(store: PostgresStore):
    class Counted(ThreadPoolExecutor):
        count = 0

        def submit(self, *values, **named):
            self.count += 1
            return super().submit(*values, **named)

    await store.record(COMPANY, NewEvent("e", 5), now_ms=T0)
    with Counted() as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        (share,) = await store.breakdown(COMPANY, "user", first_hour=0, end_hour=T0, now_ms=T0)
    assert (share.tokens, threads.count) == (5, 1)


async def test_a_url_opens_the_engine(url: str):
    store = open_store(url, Rules())
    await store.ready()
    assert await store.companies() == []
    await store.close()


async def test_a_batch_over_many_companies_is_answered_in_its_order(store: PostgresStore):
    batch = [((COMPANY, OTHER)[each % 2], NewEvent(f"e{each // 4}", 1)) for each in range(40)]
    statuses = await store.record_many(EventColumns.of(batch), now_ms=T0)
    assert statuses == [Status.DONE if each % 4 < 2 else Status.REPLAYED for each in range(40)]


async def test_a_batch_of_new_events_is_kept_as_they_would_be_one_by_one(store: PostgresStore):
    await store.record(COMPANY, NewEvent("head", 5, T0 - 10_000), now_ms=T0)
    details = [CallDetail(model=f"m{each % 3}", input_tokens=each) if each % 2 else CallDetail() for each in range(60)]
    times = [None, T0 - 10_000, T0 - 20_000, T0 + 1_000, T0 - 5_000, T0]
    events = [NewEvent(f"e{each}", each + 1, times[each % 6], detail=detail) for each, detail in enumerate(details)]
    batch = EventColumns.of((COMPANY, event) for event in events)
    assert set(await store.record_many(batch, now_ms=T0)) == {Status.DONE}
    for event in events:
        await store.record(OTHER, event, now_ms=T0)
    await store.record(OTHER, NewEvent("head", 5, T0 - 10_000), now_ms=T0)
    assert (await store.verify(COMPANY, now_ms=T0)).differences == ()
    for at_ms in (T0 - 20_000, T0 - 10_001, T0 - 10_000, T0 - 5_001, T0 - 1, T0, T0 + 1_000):
        ours, theirs = [await store.usage(each, now_ms=T0, at_ms=at_ms) for each in (COMPANY, OTHER)]
        assert ours.tokens_used == theirs.tokens_used
    hours = {"first_hour": 0, "end_hour": T0, "now_ms": T0}
    assert await store.breakdown(COMPANY, "model", **hours) == await store.breakdown(OTHER, "model", **hours)
    assert set(await store.record_many(batch, now_ms=T0)) == {Status.REPLAYED}


async def test_a_reserve_that_its_release_has_overtaken_holds_and_costs_nothing(store: PostgresStore):
    late = NewHold(new_gateway_id(None), 80, 1_000, dispatched=True)
    assert (await store.release(COMPANY, late.hold_id, now_ms=T0)).status is Status.NOT_FOUND
    decision = await store.reserve(COMPANY, late, now_ms=T0 + 1)
    assert (decision.status, decision.usage.tokens_held) == (Status.CONFLICT, 0)
    assert (await store.release(COMPANY, late.hold_id, now_ms=T0 + 2)).status is Status.REPLAYED
    assert (await store.verify(COMPANY, now_ms=T0 + HOUR)).differences == ()
    assert (await store.usage(COMPANY, now_ms=T0 + HOUR)).tokens_used == 0


@pytest.mark.parametrize("hold_id", ["h", new_id()])
async def test_of_nobody_elses_holds_one_that_is_not_there_is_remembered(store: PostgresStore, hold_id: str):
    assert (await store.release(COMPANY, hold_id, now_ms=T0)).status is Status.NOT_FOUND
    assert (await store.reserve(COMPANY, NewHold(hold_id, 80, 1_000), now_ms=T0)).status is Status.DONE


# -- the audit log ---------------------------------------------------------------------------------------------------

TAMPERING = [
    ("UPDATE kvot.audit SET actor = 'somebody' WHERE seq = 2", 2),
    ("UPDATE kvot.audit SET at = at - 1 WHERE seq = 1", 1),
    ("UPDATE kvot.audit SET detail = '[]' WHERE seq = 1", 1),
    ("DELETE FROM kvot.audit WHERE seq = 1", 1),
]


@pytest.fixture
async def audited(store: PostgresStore) -> PostgresStore:
    await store.set_budget(COMPANY, Budget(5, 3), actor="ada", reason="trial", now_ms=T0)
    await store.record(COMPANY, NewEvent("e1", 10), now_ms=T0)
    await store.correct(COMPANY, Correction("c1", "e1", -4, "bob", "twice"), now_ms=T0)
    await store.add_key(KEY, actor="eve", now_ms=T0)
    await store.revoke_key("k1", company_id=None, actor="ada", now_ms=T0)
    await store.set_provider_key(SealedKey(COMPANY, "openai", b"sealed", T0, "eve"), now_ms=T0)
    await store.remove_provider_key(COMPANY, "openai", actor="ada", now_ms=T0)
    return store


async def test_the_audit_log_of_a_company_and_that_of_keys_follow(audited: PostgresStore):
    found = await audited.verify_shared(now_ms=T0)
    assert (found.audit_lines, found.differences) == (6, ())


async def test_each_change_of_a_key_leaves_a_line(audited: PostgresStore, url: str):
    connection = await asyncpg.connect(url)
    lines = await connection.fetch("SELECT action, actor, subject FROM kvot.key_audit ORDER BY seq")
    await connection.close()
    assert [tuple(line) for line in lines] == [
        ("add_key", "eve", "k1"),
        ("revoke_key", "ada", "k1"),
        ("set_provider_key", "eve", "openai"),
        ("remove_provider_key", "ada", "openai"),
    ]


GUARD = """CREATE FUNCTION kvot.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more lines'; END $$;
    CREATE TRIGGER full_log BEFORE INSERT ON kvot.audit FOR EACH ROW EXECUTE FUNCTION kvot.full()"""


async def test_a_charge_whose_line_cannot_be_written_is_not_taken_back(store: PostgresStore, url: str):
    await store.reserve(COMPANY, NewHold("h", 80, 1, dispatched=True), now_ms=T0)
    await run(database_of(url), GUARD)
    with pytest.raises(StoreUnavailable):
        await store.release(COMPANY, "h", actor="ada", now_ms=T0 + 1)
    await run(database_of(url), "DROP FUNCTION kvot.full CASCADE")
    assert (await store.usage(COMPANY, now_ms=T0 + 1)).tokens_used == 80
    assert (await store.release(COMPANY, "h", actor="ada", now_ms=T0 + 1)).status is Status.DONE
    assert (await store.verify_shared(now_ms=T0 + 1)).audit_lines == 1


@pytest.mark.parametrize(("tampering", "line"), TAMPERING)
async def test_tampering_shows(audited: PostgresStore, url: str, tampering: str, line: int):
    with pytest.raises(Exception, match="append-only"):
        await run(database_of(url), tampering)
    await run(database_of(url), f"SET session_replication_role = replica; {tampering}")
    where = f"audit log, line {line} does not follow from those before it"
    assert (await audited.verify_shared(now_ms=T0)).differences == ((COMPANY, Difference(where, None, None)),)


async def test_tampering_with_the_log_of_keys_shows(audited: PostgresStore, url: str):
    await run(database_of(url), "SET session_replication_role = replica; DELETE FROM kvot.key_audit WHERE seq = 1")
    where = "audit log of keys, line 1 does not follow from those before it"
    assert (await audited.verify_shared(now_ms=T0)).differences == ((None, Difference(where, None, None)),)


# -- what no ledger by itself can prove ------------------------------------------------------------------------------


@pytest.fixture
async def lived_in(store: PostgresStore) -> PostgresStore:
    """A company with something in every table, and one beside it."""
    await store.set_budget(COMPANY, Budget(10_000, 30), actor="operator", reason=None, now_ms=T0)
    await store.record(COMPANY, NewEvent("e1", 10, detail=CallDetail(model="m")), now_ms=T0)
    await store.record(COMPANY, NewEvent("late", 5, T0 - 10), now_ms=T0)
    await store.reserve(COMPANY, NewHold("h1", 100, 60_000), now_ms=T0)
    await store.record(OTHER, NewEvent("e1", 10), now_ms=T0)
    return store


async def test_rows_of_a_company_whose_own_row_is_gone_are_named_by_table(lived_in: PostgresStore, url: str):
    await run(database_of(url), f"DELETE FROM kvot.company WHERE company_id = '{COMPANY}'")
    rows = {"budget": 1, "point": 1, "late": 4, "label_set": 1, "event": 2, "hold": 1, "rollup": 2}
    assert (await lived_in.verify_shared(now_ms=T0)).differences == tuple(
        (COMPANY, Difference(f"{table}, of a company that has no row of its own", count, 0))
        for table, count in rows.items()
    )


async def test_a_clock_that_is_ahead_is_named_with_its_company(lived_in: PostgresStore, url: str):
    ahead_ms = T0 + LEAP_MAX_MS + 1
    await run(database_of(url), f"UPDATE kvot.company SET clock = {ahead_ms} WHERE company_id = '{COMPANY}'")
    expected = ((COMPANY, Difference("company clock", ahead_ms, T0)),)
    assert (await lived_in.verify_shared(now_ms=T0)).differences == expected
    assert (await lived_in.verify_shared(COMPANY, now_ms=T0)).differences == expected
    assert (await lived_in.verify_shared(OTHER, now_ms=T0)).differences == ()
    assert (await lived_in.verify_shared(now_ms=T0 + 1)).differences == ()
