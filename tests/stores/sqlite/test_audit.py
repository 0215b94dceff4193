"""The audit log says what people changed, cannot be edited, and shows it when it has been all the same."""

import pytest

from kvot.core.budget import Budget
from kvot.core.keys import ApiKey
from kvot.core.model import Correction, Difference, NewEvent
from kvot.core.provider_keys import SealedKey

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
