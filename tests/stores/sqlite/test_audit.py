"""The audit log says what people changed, cannot be edited, and shows it when it has been all the same."""

import pytest

from kvot.core.budget import Budget
from kvot.core.errors import StoreUnavailable
from kvot.core.keys import ApiKey
from kvot.core.model import Correction, Difference, NewEvent, NewHold, Status
from kvot.core.provider_keys import SealedKey
from kvot.stores.sqlite import SqliteStore
from tests.conformance.conftest import ENGINES
from tests.conformance.scene import Scene
from tests.conformance.sentences import test_audit as sentences

from .conftest import COMPANY, T0

LINES = "SELECT action, actor, subject FROM audit ORDER BY seq"
KEY = ApiKey("k1", b"hash", COMPANY, frozenset(), "a key", T0, "operator")

TAMPERING = [
    ("UPDATE audit SET actor = 'somebody' WHERE seq = 2", 2),
    ("UPDATE audit SET at = at - 1 WHERE seq = 1", 1),
    ("UPDATE audit SET detail = '[]' WHERE seq = 4", 4),
    ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 3", 3),
    ("DELETE FROM audit WHERE seq = 2", 2),
    ("DELETE FROM audit WHERE seq = 1", 1),
]


@pytest.fixture
async def audited(store):
    await store.set_budget(COMPANY, Budget(5, 3), actor="ada", reason="trial", now_ms=T0)
    await store.record(COMPANY, NewEvent("e1", 10), now_ms=T0)
    await store.correct(COMPANY, Correction("c1", "e1", -4, "bob", "twice"), now_ms=T0)
    await store.add_key(KEY, actor="eve", now_ms=T0)
    await store.revoke_key("k1", company_id=None, actor="ada", now_ms=T0)
    await store.set_provider_key(SealedKey(COMPANY, "openai", b"sealed", T0, "eve"), now_ms=T0)
    await store.remove_provider_key(COMPANY, "openai", actor="ada", now_ms=T0)
    return store


async def test_each_change_of_a_person_leaves_a_line(audited):
    assert audited._reader.execute(LINES).fetchall() == [
        ("set_budget", "ada", COMPANY),
        ("correct", "bob", "c1"),
        ("add_key", "eve", "k1"),
        ("revoke_key", "ada", "k1"),
        ("set_provider_key", "eve", "openai"),
        ("remove_provider_key", "ada", "openai"),
    ]
    found = await audited.verify_shared(now_ms=T0)
    assert (found.audit_lines, found.differences) == (6, ())


async def test_what_changed_nothing_leaves_no_line(audited):
    await audited.add_key(KEY, actor="eve", now_ms=T0)
    await audited.revoke_key("k1", company_id=None, actor="ada", now_ms=T0)
    await audited.remove_provider_key(COMPANY, "openai", actor="ada", now_ms=T0)
    await audited.correct(COMPANY, Correction("c1", "e1", -4, "bob", "twice"), now_ms=T0)
    await audited.correct(COMPANY, Correction("c2", "e1", -40, "bob"), now_ms=T0)
    assert len(audited._reader.execute(LINES).fetchall()) == 6


async def test_a_charge_whose_line_cannot_be_written_is_not_taken_back(store):
    await store.reserve(COMPANY, NewHold("h", 80, 1, dispatched=True), now_ms=T0)
    guard = "CREATE TEMP TRIGGER full_log BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no more lines'); END"
    store._write_connection.execute(guard)
    with pytest.raises(StoreUnavailable, match="no more lines"):
        await store.release(COMPANY, "h", actor="ada", now_ms=T0 + 1)
    assert (await store.usage(COMPANY, now_ms=T0 + 1)).tokens_used == 80
    store._write_connection.execute("DROP TRIGGER full_log")
    assert (await store.release(COMPANY, "h", actor="ada", now_ms=T0 + 1)).status is Status.DONE
    assert (await store.verify_shared(now_ms=T0 + 1)).audit_lines == 1


class ReleasesForNobody(SqliteStore):
    async def release(self, company_id, hold_id, *, actor=None, now_ms):
        return await super().release(company_id, hold_id, now_ms=now_ms)


class ReleasesAsSomebody(SqliteStore):
    async def release(self, company_id, hold_id, *, actor=None, now_ms):
        return await super().release(company_id, hold_id, actor=actor or "somebody", now_ms=now_ms)


FAULTY = [
    (ReleasesForNobody, sentences.test_taking_a_charge_back_leaves_a_line_of_whose_doing_it_is),
    (ReleasesAsSomebody, sentences.test_what_nobody_decided_leaves_no_line),
]


@pytest.mark.parametrize(("faulty", "sentence"), FAULTY)
async def test_a_planted_fault_in_who_took_a_charge_back_is_caught(faulty, sentence, tmp_path):
    async def open_(folder, rules):
        return faulty.open(folder / "kvot.db", rules)

    scene = await Scene.open(ENGINES["sqlite"]._replace(open=open_), tmp_path)
    with pytest.raises((AssertionError, ValueError)):
        await sentence(scene)
    await scene.close()


@pytest.mark.parametrize("tampering", ["UPDATE audit SET actor = 'somebody'", "DELETE FROM audit"])
async def test_the_log_refuses_to_be_edited(audited, tampering):
    with pytest.raises(Exception, match="append-only"):
        audited._write_connection.execute(tampering)


@pytest.mark.parametrize(("tampering", "line"), TAMPERING)
async def test_a_line_that_was_edited_all_the_same_is_named(audited, tampering, line):
    audited._write_connection.execute("DROP TRIGGER audit_is_never_changed")
    audited._write_connection.execute("DROP TRIGGER audit_is_never_cut")
    audited._write_connection.execute(tampering)
    where = f"audit log, line {line} does not follow from those before it"
    assert (await audited.verify_shared(now_ms=T0)).differences == ((None, Difference(where, None, None)),)


async def test_a_secret_is_never_in_the_log(audited):
    assert b"hash" not in repr(audited._reader.execute("SELECT * FROM audit").fetchall()).replace("hash_", "").encode()
