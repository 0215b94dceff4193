import apsw

from tests.cli.support import ACME, NOW_MS, OTHER

DAY_MS = 86_400_000


def test_a_sound_ledger_verifies(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    kvot("record", "--company", OTHER, "--tokens", 6)
    ran = kvot("verify", "--json")
    assert (ran.code, ran.document) == (0, {"companies": 2, "events": 2, "tokens": 11, "differences": []})
    assert "differences  none" in kvot("verify").out


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


def test_pruning_forgets_what_is_beyond_a_shorter_retention(kvot, monkeypatch):
    kvot("record", "--company", ACME, "--tokens", 5, "--at", NOW_MS - 100 * DAY_MS)
    kvot("record", "--company", ACME, "--tokens", 6)
    monkeypatch.setenv("KVOT_RETENTION_DAYS", "50")
    assert kvot("prune", "--yes", "--json").document == {"companies": 1, "events": 1}
    assert kvot("prune", "--yes").out.split() == ["companies", "1", "events", "forgotten", "0"]
    assert kvot("usage", "--company", ACME, "--json").document["tokensUsed"] == 6
    assert kvot("verify").code == 0
