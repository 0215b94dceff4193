import pytest

from kvot.cli.moments import parse_expiry
from kvot.contract.describe import Instant
from tests.cli.support import ACME, OTHER


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
    assert kvot("keys", "revoke", key_id).out == f"Revoked {key_id}.\n"
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
