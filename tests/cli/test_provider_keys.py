"""Companies' own keys to providers: read unseen, kept sealed, never printed."""

import io
import os
import pty
import select
import sys

import pytest

from tests.cli.support import ACME, OTHER, start
from tests.cli.test_serve import make_key, serving

KEY = "sk-acme-0123456789-abcd"


@pytest.fixture
def offered(kvot, monkeypatch):
    """A database whose settings offer openai, and whose company keeps a key to it."""
    monkeypatch.setenv("KVOT_OPENAI_API_KEY", "sk-ours")
    kvot("keys", "create", "--company", ACME)
    return kvot


def say(monkeypatch, text):
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def set_key(kvot, monkeypatch, text=KEY, provider="openai", company=ACME, *more):
    say(monkeypatch, text)
    return kvot("provider-keys", "set", provider, *(("--company", company) if company else ()), *more)


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", f"\ufeff{KEY}\r\n"])
def test_a_key_is_read_from_standard_input_and_told_by_its_end_alone(offered, monkeypatch, text):
    ran = set_key(offered, monkeypatch, text)
    assert (ran.code, ran.out) == (0, "Calls to openai go out under the company's own key, which ends in abcd.\n")
    listed = offered("provider-keys", "list", "--company", ACME)
    assert listed.out.splitlines()[1].split()[:3] == ["openai", "yes", "…abcd"]
    assert KEY not in listed.out + listed.err
    assert KEY.encode() not in offered.database.read_bytes()


def test_it_is_another_company_s_business_no_more_than_any_other(offered, monkeypatch):
    set_key(offered, monkeypatch)
    (other,) = offered("provider-keys", "list", "--company", OTHER, "--json").document["results"]
    assert other == {"provider": "openai", "isOffered": True, "hasKey": False}


def test_a_removed_key_is_gone(offered, monkeypatch):
    set_key(offered, monkeypatch)
    ran = offered("provider-keys", "remove", "openai", "--company", ACME, "--yes")
    assert (ran.code, ran.out) == (0, "The company keeps no key to openai any more.\n")
    assert offered("provider-keys", "remove", "openai", "--company", ACME).code == 1
    (listed,) = offered("provider-keys", "list", "--company", ACME, "--json").document["results"]
    assert listed["hasKey"] is False


@pytest.mark.parametrize(
    ("text", "provider", "company", "code", "word"),
    [
        ("", "openai", ACME, 2, "No key came"),
        (" \n", "openai", ACME, 2, "No key came"),
        ("x" * 20_000, "openai", ACME, 2, "that is no key"),
        ("short", "openai", ACME, 1, "between 8 and 4096"),
        ("two words of it", "openai", ACME, 1, "correct format"),
        (b"\xff\xfe" * 8, "openai", ACME, 1, "correct format"),
        (KEY, "mistral", ACME, 1, "is offered. There are: openai."),
        (KEY, "openai", None, 1, "--company"),
        (KEY, "openai", "acme", 2, "not a GUID"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(offered, monkeypatch, text, provider, company, code, word):
    ran = set_key(offered, monkeypatch, text, provider, company)
    assert (ran.code, ran.out) == (code, "")
    assert word in ran.err
    assert "two words" not in ran.err
    (listed,) = offered("provider-keys", "list", "--company", ACME, "--json").document["results"]
    assert listed["hasKey"] is False


@pytest.mark.parametrize("argument", [KEY, f"--key={KEY}"])
def test_no_key_is_taken_from_the_command_line(offered, monkeypatch, argument):
    assert set_key(offered, monkeypatch, "", "openai", ACME, argument).code == 2


def test_a_key_under_another_secret_is_said_to_be_unreadable(offered, monkeypatch):
    monkeypatch.setenv("KVOT_SECRET", "s" * 43)
    offered("keys", "accept-secret", "--yes")
    set_key(offered, monkeypatch)
    monkeypatch.setenv("KVOT_SECRET", "t" * 43)
    offered("keys", "accept-secret", "--yes")
    assert "unreadable: set it anew" in offered("provider-keys", "list", "--company", ACME).out


def test_at_a_terminal_it_is_asked_for_without_echo(offered):
    ours, theirs = pty.openpty()
    words = ("provider-keys", "set", "openai", "--company", ACME, "--database", offered.database)
    environment = {"KVOT_OPENAI_API_KEY": "sk-ours"}
    process = start(*words, stdin=theirs, start_new_session=True, environment=environment)
    assert process.stderr is not None
    assert "it is not shown" in process.stderr.read(len("The company's key to openai (it is not shown)"))
    os.write(ours, f"{KEY}\n".encode())
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "ends in abcd" in out, KEY in out + err) == (0, True, False)
    echoed = os.read(ours, 1_024) if select.select([ours], [], [], 0)[0] else b""
    assert KEY.encode() not in echoed
    os.close(ours)
    os.close(theirs)


def test_a_server_keeps_one_for_its_superadmin_alone(offered, monkeypatch):
    operator, own = make_key(offered, "--role", "superadmin"), make_key(offered, "--company", ACME)
    with serving(offered, environment={"KVOT_OPENAI_API_KEY": "sk-ours"}) as server:
        there = ("--company", ACME, "--url", server.url)
        for key, code in ((own, 1), (operator, 0)):
            say(monkeypatch, KEY)
            assert offered.bare("provider-keys", "set", "openai", *there, "--api-key", key).code == code
        where = (*there, "--api-key", operator)
        listed = offered.bare("provider-keys", "list", *where).out
        assert "…abcd" in listed
        assert offered.bare("provider-keys", "remove", "openai", "--yes", *where).code == 0
        assert server.stop()[0] == 0
