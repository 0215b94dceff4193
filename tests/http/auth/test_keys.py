"""Keys against the store: what proves right, and the many ways not to."""

from typing import Any

import pytest

from kvot.core.keys import ApiKey, format_key, hash_secret, parse_key
from kvot.http.auth.keys import KeyVerifier
from tests.http.auth.dict_keys import DictKeys
from tests.http.auth.signing import COMPANY, NOW_MS

PEPPER = b"p" * 32
KEY = format_key("0123456789Ab", "s" * 43)
GUID_KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
PEER = "192.0.2.1"


def stored(text: str = KEY, **changes: Any) -> ApiKey:
    shown = parse_key(PEPPER, text)
    key = ApiKey(shown.key_id, hash_secret(PEPPER, shown.secret), COMPANY, frozenset(), None, NOW_MS, "me")
    return key._replace(**changes)


async def verify(key: ApiKey, shown: str = KEY, peer: str | None = PEER, pepper: bytes = PEPPER) -> ApiKey | None:
    store = DictKeys()
    await store.add_key(key, actor="me", now_ms=NOW_MS)
    return await KeyVerifier(store, pepper).verify(shown, peer, NOW_MS)


@pytest.mark.parametrize("text", [KEY, GUID_KEY])
async def test_a_key_made_here_or_taken_over_proves_itself(text):
    assert await verify(stored(text), text) == stored(text)


@pytest.mark.parametrize(
    ("changes", "peer", "is_good"),
    [
        ({"expires_at_ms": NOW_MS + 1}, PEER, True),
        ({"expires_at_ms": NOW_MS}, PEER, False),
        ({"revoked_at_ms": NOW_MS - 1}, PEER, False),
        ({"networks": ("192.0.2.0/24",)}, PEER, True),
        ({"networks": ("192.0.2.0/24",)}, "198.51.100.1", False),
        ({"networks": ("192.0.2.0/24",)}, None, False),
        ({"secret_hash": b"\0" * 32}, PEER, False),
        ({"secret_hash": b""}, PEER, False),
    ],
)
async def test_when_a_key_counts(changes, peer, is_good):
    assert (await verify(stored(**changes), peer=peer) is not None) is is_good


async def test_no_tampered_key_proves_anything():
    for at in range(len(KEY)):
        for other in "kS_0":
            tampered = KEY[:at] + other + KEY[at + 1 :]
            if tampered != KEY:
                assert await verify(stored(), tampered) is None


async def test_a_key_is_worth_nothing_under_another_pepper():
    assert await verify(stored(), pepper=b"q" * 32) is None


async def test_two_keys_of_a_company_live_side_by_side():
    store = DictKeys()
    for text in (KEY, GUID_KEY):
        await store.add_key(stored(text), actor="me", now_ms=NOW_MS)
    verifier = KeyVerifier(store, PEPPER)
    assert [(await verifier.verify(text, PEER, NOW_MS)).company_id for text in (KEY, GUID_KEY)] == [COMPANY] * 2  # type: ignore[union-attr]


async def test_an_unknown_id_is_compared_all_the_same(monkeypatch):
    compared: list[tuple[bytes, bytes]] = []

    def compare(shown: bytes, kept: bytes) -> bool:
        compared.append((shown, kept))
        return False

    monkeypatch.setattr("kvot.http.auth.keys.hmac.compare_digest", compare)
    assert await verify(stored(GUID_KEY), KEY) is None
    ((shown, nobodys),) = compared
    assert shown == hash_secret(PEPPER, "s" * 43)
    assert len(nobodys) == len(shown)
