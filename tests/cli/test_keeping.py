import os
import pty
import signal
from contextlib import closing

import apsw
import pytest

from tests.cli.support import ACME, NOW_MS, OTHER, start

DAY_MS = 86_400_000


def test_a_sound_ledger_verifies(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    kvot("record", "--company", OTHER, "--tokens", 6)
    ran = kvot("verify", "--json")
    counts = {"companies": 2, "events": 2, "tokens": 11, "auditLines": 0}
    assert (ran.code, ran.document) == (0, counts | {"differences": []})
    assert "audit log    0 lines\ndifferences  none" in kvot("verify").out


def tamper(kvot, *statements):
    with closing(apsw.Connection(str(kvot.database))) as connection:
        for each in statements:
            connection.execute(each)


UNGUARDED = ("DROP TRIGGER audit_is_never_changed", "DROP TRIGGER audit_is_never_cut")


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'me' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"])
def test_a_changed_and_a_removed_line_of_the_audit_log_are_found(kvot, change):
    for limit in (1, 2, 3):
        kvot("budget", "set", "--company", ACME, "--token-limit", limit)
    assert "audit log    3 lines" in kvot("verify").out
    tamper(kvot, *UNGUARDED, change)
    ran = kvot("verify")
    assert (ran.code, "audit log, line 2 does not follow" in ran.out) == (1, True)
    assert kvot("verify", "--company", ACME).code == 0, "one company's proof is of its ledger alone"


def test_rows_without_a_company_and_a_clock_that_is_ahead_are_found(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    kvot("record", "--company", OTHER, "--tokens", 6)
    tamper(kvot, "DELETE FROM company WHERE company_no = 1", "UPDATE company SET clock = clock + 3600000")
    ran = kvot("verify")
    assert ran.code == 1
    assert "event, of company_no 1, which has no row of its own" in ran.out
    assert "company clock" in next(line for line in ran.out.splitlines() if line.startswith(OTHER))


def test_a_number_that_was_tampered_with_is_found_and_exits_with_1(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    connection = apsw.Connection(str(kvot.database))
    connection.execute("UPDATE company SET head_cum = head_cum + 1")
    connection.close()
    ran = kvot("verify", "--json")
    assert ran.code == 1
    assert ran.document["differences"][0]["companyId"] == ACME
    assert ACME in kvot("verify").out


def test_pruning_says_what_it_forgets_and_asks(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    ran = kvot("prune")
    assert (ran.code, ran.out) == (2, "")
    assert "400 days" in ran.err
    assert "--yes" in ran.err


def test_pruning_names_the_instant_that_it_uses(kvot):
    """Steps of 2 ** 24 ms: 1_000_000_000_000 ms is in the one that began at 59604 of them."""
    kvot("record", "--company", ACME, "--tokens", 5)
    assert "older than 2001-09-08 22:46:22.464 UTC (" in kvot("prune", "--before", 1_000_000_000_000).err
    assert "rounded down" in kvot("prune", "--help").out


def test_pruning_forgets_what_is_beyond_a_shorter_retention(kvot, monkeypatch):
    kvot("record", "--company", ACME, "--tokens", 5, "--at", NOW_MS - 100 * DAY_MS)
    kvot("record", "--company", ACME, "--tokens", 6)
    monkeypatch.setenv("KVOT_RETENTION_DAYS", "50")
    assert kvot("prune", "--yes", "--json").document == {"companies": 1, "events": 1}
    assert kvot("prune", "--yes").out.split() == ["companies", "1", "events", "forgotten", "0"]
    assert kvot("usage", "--company", ACME, "--json").document["tokensUsed"] == 6
    assert kvot("verify").code == 0


def test_a_person_watching_a_prune_sees_how_far_it_is(kvot, monkeypatch):
    old_ms = NOW_MS - 100 * DAY_MS
    file = kvot.file("old.csv", "tokens,at\n" + "".join(f"1,{old_ms + n}\n" for n in range(12_000)))
    kvot("import", file, "--company", ACME)
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm", "COLUMNS": "120", "KVOT_RETENTION_DAYS": "50"}
    process = start("prune", "--yes", "--database", kvot.database, environment=environment, stderr=theirs)
    out, _ = process.communicate(timeout=60)
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, out.split()[-1]) == (0, "12,000")
    assert "12,000 events" in seen
    monkeypatch.setenv("KVOT_RETENTION_DAYS", "50")
    assert (kvot("verify").code, kvot("prune", "--yes").err) == (0, "")


def test_ctrl_c_at_a_question_is_told_on_a_line_of_its_own(kvot):
    kvot("record", "--company", ACME, "--tokens", 6)
    ours, theirs = pty.openpty()
    process = start("prune", "--database", kvot.database, stdin=theirs, stderr=theirs)
    seen = b""
    while b"[y/N] " not in seen:
        seen += os.read(ours, 65_536)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    while not seen.endswith(b"Interrupted.\r\n"):
        seen += os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, out) == (130, "")
    assert seen.endswith(b"[y/N] \r\nkvot: Interrupted.\r\n")
