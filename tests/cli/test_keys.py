import pytest

from kvot.cli.moments import parse_expiry
from kvot.contract.describe import Instant
from tests.cli.support import ACME, OTHER, Ran, start


def test_a_key_is_the_last_line_alone_and_never_shown_again(kvot):
    key = kvot("keys", "create", "--company", ACME, "--name", "assistant").out.splitlines()[-1]
    assert key.startswith("kvot_")
    for ran in (kvot("keys", "list"), kvot("keys", "list", "--json")):
        assert key.split("_")[1] in ran.out
        assert key not in ran.out


def test_keys_are_listed_by_company_with_what_they_may_do(kvot):
    kvot("keys", "create", "--company", ACME, "--role", "usage-writer", "--network", "10.0.0.0/8", "--expires", "30d")
    kvot("keys", "create", "--company", OTHER)
    (key,) = kvot("keys", "list", "--company", ACME, "--json").document["results"]
    assert (key["companyId"], key["roles"], key["networks"]) == (ACME, ["usage-writer"], ["10.0.0.0/8"])
    assert len(kvot("keys", "list", "--json").document["results"]) == 2


def test_a_revoked_key_is_listed_as_such(kvot):
    key_id = kvot("keys", "create", "--company", ACME, "--json").document["result"]["id"]
    assert kvot("keys", "revoke", key_id, "--yes").out == f"Revoked {key_id}.\n"
    (key,) = kvot("keys", "list", "--json").document["results"]
    assert "revokedAt" in key
    assert kvot("keys", "revoke", "nonsense").code == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 1),
        (("--company", ACME, "--role", "king"), 1),
        (("--company", ACME, "--network", "here"), 1),
        (("--company", ACME, "--expires", "2001-01-01"), 1),
        (("--company", ACME, "--expires", "soon"), 2),
    ],
)
def test_a_bad_key_is_not_made(kvot, arguments, code):
    kvot("keys", "create", "--company", OTHER)
    assert kvot("keys", "create", *arguments).code == code
    assert len(kvot("keys", "list", "--json").document["results"]) == 1


def test_a_role_that_is_none_is_told_alone_with_those_that_there_are(kvot):
    ran = kvot("keys", "create", "--role", "superadmn")
    assert (ran.code, ran.err.count("\n"), "company" in ran.err) == (1, 1, False)
    assert "'superadmn'. There are: superadmin, usage-writer." in ran.err


def test_keys_are_taken_over_from_a_file_unseen_and_bad_lines_do_not_stop_good_ones(kvot):
    file = kvot.file("keys.txt", "old-key-of-some-length-1\n\nshort\nold-key-of-some-length-2\n")
    ran = kvot("keys", "import", file, "--company", ACME)
    assert ran.code == 1
    assert "line 3" in ran.err
    assert "old-key" not in ran.out + ran.err
    assert ran.out.split() == ["taken", "over", "2", "refused", "1"]


@pytest.mark.parametrize(("text", "ms"), [("30d", 30 * 86_400_000 + 5), ("12h", 12 * 3_600_000 + 5)])
def test_an_expiry_may_be_a_span_from_now(text, ms):
    assert parse_expiry(text, now_ms=5) == Instant(ms)


WRONG = "w" * 43


def test_a_wrong_secret_is_noticed_before_a_key_is_made_under_it(kvot):
    kvot("keys", "create", "--company", ACME)
    (kvot.folder / "kvot.db.secret").write_text(WRONG)
    made = kvot("keys", "create", "--company", ACME)
    server = start("serve", "--port", 0, "--database", kvot.database)
    out, err = server.communicate(timeout=60)
    for ran in (made, Ran(server.returncode, out, err)):
        assert (ran.code, ran.out) == (1, "")
        assert "kvot.db.secret) is not the one that the keys in this database were made under" in ran.err
    assert len(kvot("keys", "list", "--json").document["results"]) == 1


def test_a_lost_secret_is_gone_on_without_once_a_person_says_so(kvot):
    kvot("keys", "create", "--company", ACME)
    (kvot.folder / "kvot.db.secret").write_text(WRONG)
    assert (kvot("keys", "accept-secret").code, "--yes" in kvot("keys", "accept-secret").err) == (2, True)
    assert kvot("keys", "accept-secret", "--yes").code == 0
    assert kvot("keys", "create", "--company", ACME).code == 0
    assert "audit log    3 lines" in kvot("verify").out


def test_only_who_makes_keys_needs_the_secret(kvot):
    key = kvot("keys", "create", "--company", ACME, "--json").document["result"]["id"]
    kvot("record", "--company", ACME, "--tokens", 5)
    (kvot.folder / "kvot.db.secret").unlink()
    for words in (
        ("usage", "--company", ACME),
        ("record", "--company", ACME, "--tokens", 5),
        ("budget", "set", "--company", ACME, "--token-limit", 5),
        ("budget", "show", "--company", ACME),
        ("verify",),
        ("prune", "--yes"),
        ("backup", kvot.folder / "b.gz"),
        ("keys", "list"),
        ("keys", "revoke", key, "--yes"),
    ):
        assert (kvot(*words).code, words) == (0, words)
    ran = kvot("keys", "create", "--company", ACME)
    assert (ran.code, "put the file back" in ran.err) == (2, True)


def test_a_restored_database_knows_its_secret(kvot):
    kvot("keys", "create", "--company", ACME)
    kvot("backup", kvot.folder / "b.gz")
    there = kvot.folder / "there.db"
    assert kvot.bare("restore", kvot.folder / "b.gz", "--database", there).code == 0
    (kvot.folder / "there.db.secret").write_text(WRONG)
    (kvot.folder / "there.db.secret").chmod(0o600)
    ran = kvot.bare("keys", "create", "--company", ACME, "--database", there)
    assert (ran.code, "is not the one" in ran.err) == (1, True)
    (kvot.folder / "there.db.secret").write_bytes((kvot.folder / "kvot.db.secret").read_bytes())
    assert kvot.bare("keys", "create", "--company", ACME, "--database", there).code == 0
