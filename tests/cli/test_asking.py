"""Commands that cannot be undone ask first."""

import asyncio
import io
import os
import pty
import sys

import pytest

from kvot.core.budget import Rules
from kvot.core.model import NewHold
from kvot.stores.sqlite import SqliteStore
from tests.cli.support import ACME, NOW_MS, start

OF_ACME = ("--company", ACME)
# What is asked about, by command.
ASKED = {
    ("prune",): "older than",
    ("keys", "revoke"): f"(assistant), of company {ACME},",
    ("keys", "accept-secret"): "Every server that uses the database must be started again",
    ("provider-keys", "remove", "openai", *OF_ACME): "key to openai, which ends in abcd.",
    ("holds", "release", "one", *OF_ACME): "A call holds 5 tokens.",
}


async def hold(database):
    store = SqliteStore.open(database, Rules())
    await store.reserve(ACME, NewHold("one", 5, 600_000, dispatched=True), now_ms=NOW_MS)
    await store.close()


@pytest.fixture
def filled(kvot, monkeypatch):
    """With something of each kind; `key_id` is the key's."""
    monkeypatch.setenv("KVOT_OPENAI_API_KEY", "sk-ours")
    kvot.key_id = kvot("keys", "create", *OF_ACME, "--name", "assistant", "--json").document["result"]["id"]
    with monkeypatch.context() as typed:
        typed.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sk-their-own-key-abcd")))
        assert kvot("provider-keys", "set", "openai", *OF_ACME).code == 0
    asyncio.run(hold(kvot.database))
    return kvot


def words(kvot, command):
    return (*command, kvot.key_id) if command == ("keys", "revoke") else command


@pytest.mark.parametrize("command", ASKED, ids=lambda command: " ".join(command[:2]))
def test_without_a_terminal_what_it_is_about_is_told_and_nothing_done_without_yes(filled, command):
    ran = filled(*words(filled, command))
    assert (ran.code, ran.out) == (2, "")
    assert ASKED[command] in ran.err
    assert "no terminal to ask at, so nothing was done. Say --yes" in ran.err
    assert filled(*words(filled, command), "--yes").code == 0


@pytest.mark.parametrize(("said", "code", "is_revoked"), [("n", 1, False), ("", 1, False), ("y", 0, True)])
def test_at_a_terminal_only_a_yes_counts(filled, said, code, is_revoked):
    ours, theirs = pty.openpty()
    process = start("keys", "revoke", filled.key_id, "--database", filled.database, stdin=theirs)
    os.write(ours, f"{said}\n".encode())
    _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, "Revoke it? [y/N] " in err, "Nothing was done." in err) == (code, True, not is_revoked)
    (key,) = filled("keys", "list", "--json").document["results"]
    assert ("revokedAt" in key) == is_revoked


@pytest.mark.parametrize("command", [("keys", "revoke", "none"), ("provider-keys", "remove", "gemini", *OF_ACME)])
def test_nobody_is_asked_about_what_is_not_there(filled, command):
    ran = filled(*command)
    assert (ran.code, "--yes" in ran.err) == (1, False)
