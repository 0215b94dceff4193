"""API keys as values: their form, their hashes, and keys derived for one purpose each."""

import pytest

from kvot.core.keys import ApiKey, derive_key, format_key, hash_secret, parse_key

PEPPER, OTHER_PEPPER = b"p" * 32, b"q" * 32
ID, SECRET = "0123456789Ab", "x" * 43
GUID = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"


def test_a_key_made_here_is_taken_apart_into_what_it_was_made_of():
    assert parse_key(PEPPER, format_key(ID, SECRET)) == (ID, SECRET)


@pytest.mark.parametrize(
    "text",
    ["", GUID, f"kvot_{ID}_{SECRET}x", f"kvot_{ID}_{SECRET[1:]}", f"kvot_{ID[1:]}_{SECRET}", f"KVOT_{ID}_{SECRET}",
     f"kvot_{ID}_{SECRET}\n", f"kvot_{ID}_{SECRET[1:]}-", f"kvot_{ID}_{SECRET[1:]}é"],
)  # fmt: skip
def test_any_other_key_is_all_secret_and_its_id_tells_nothing(text):
    shown = parse_key(PEPPER, text)
    assert shown.secret == text
    assert len(shown.key_id) == 25
    assert text == "" or text not in shown.key_id
    assert shown.key_id != parse_key(OTHER_PEPPER, text).key_id


def test_the_id_of_a_key_taken_over_is_the_same_every_time():
    assert parse_key(PEPPER, GUID) == parse_key(PEPPER, GUID)
    assert parse_key(PEPPER, GUID).key_id != parse_key(PEPPER, GUID.upper()).key_id


def test_hashes_differ_by_secret_and_by_pepper():
    assert len({hash_secret(pepper, secret) for pepper in (PEPPER, OTHER_PEPPER) for secret in ("a", "b")}) == 4


def test_every_purpose_has_a_key_of_its_own():
    derived = {derive_key(secret, purpose) for secret in (PEPPER, OTHER_PEPPER) for purpose in ("a", "b", "")}
    assert len(derived) == 6
    assert all(len(key) == 32 for key in derived)
    assert derive_key(PEPPER, "a") == derive_key(PEPPER, "a")


def test_derivation_never_changes_since_every_stored_hash_depends_on_it():
    assert derive_key(b"s" * 32, "api key pepper").hex() == (
        "08994f07c9d595918280855bb456e9010e11733bbc9c99de91aa3b93c9eb8300"
    )


@pytest.mark.parametrize(
    ("expires_at_ms", "revoked_at_ms", "is_live"),
    [(None, None, True), (101, None, True), (100, None, False), (None, 1, False), (101, 200, False)],
)
def test_a_key_lives_until_it_expires_or_is_revoked(expires_at_ms, revoked_at_ms, is_live):
    key = ApiKey(ID, b"", None, frozenset(), None, 0, "me", expires_at_ms, revoked_at_ms)
    assert key.is_live(now_ms=100) is is_live
