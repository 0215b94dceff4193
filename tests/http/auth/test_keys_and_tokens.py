"""From headers to a principal: what goes together, what is remembered and for how long, who is held back."""

import base64
import json
from typing import Any

import pytest

from kvot.core.errors import Forbidden, TokenRejected, TooManyRequests
from kvot.core.keys import ApiKey, format_key, hash_secret, parse_key
from kvot.core.principal import SUPERADMIN, Principal
from kvot.http.auth import KeysAndTokens, make_authenticator
from kvot.http.auth import keys_and_tokens as module
from kvot.http.auth.attempts import BURST, INTERVAL_MS
from kvot.http.auth.claims import LEEWAY_MS
from kvot.settings import Settings, SettingsError
from tests.http.auth.dict_keys import DictKeys
from tests.http.auth.signing import COMPANY, EC, NOW, NOW_MS, OTHER_COMPANY, RSA, SECRET, claims, encode, sign

PEPPER = b"p" * 32
KEY = format_key("0123456789Ab", "s" * 43)
WRONG_KEY = format_key("0123456789Ab", "t" * 43)
OTHER_KEY = format_key("BA9876543210", "o" * 43)
GUID_KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"
TOO_DEEP = encode(b'{"alg":"HS256","x":' + b"[" * 2_000) + b".e30.AAAA"
PEER, OTHER_PEER = "192.0.2.1", "198.51.100.1"


class House:
    """An authenticator with a store, a clock to set, and short ways to ask it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.now_ms = NOW_MS
        self.store = DictKeys()
        self.authenticator: KeysAndTokens = make_authenticator(
            settings or Settings(jwt_secret=SECRET), self.store, PEPPER, lambda: self.now_ms
        )

    async def add(self, text: str = KEY, **changes: Any) -> str:
        shown = parse_key(PEPPER, text)
        key = ApiKey(shown.key_id, hash_secret(PEPPER, shown.secret), COMPANY, frozenset(), None, NOW_MS, "me")
        assert await self.store.add_key(key._replace(**changes), actor="me", now_ms=NOW_MS)
        return shown.key_id

    async def revoke(self, key_id: str) -> None:
        assert await self.store.revoke_key(key_id, company_id=None, actor="me", now_ms=self.now_ms)

    async def ask(
        self, *, bearer: bytes | str | None = None, key: str | None = None, peer: str | None = PEER
    ) -> Principal | None:
        token = bearer.encode() if isinstance(bearer, str) else bearer
        authorization = None if token is None else b"Bearer " + token
        return await self.authenticator.principal(authorization, None if key is None else key.encode(), peer)

    async def fail(self, times: int, **shown: Any) -> None:
        for _ in range(times):
            assert await self.ask(**shown) is None


class TestOneCredential:
    async def test_no_credential_is_nobody(self):
        assert await House().authenticator.principal(None, None, PEER) is None

    @pytest.mark.parametrize("text", [KEY, GUID_KEY])
    async def test_a_key_comes_in_three_ways(self, text):
        house = House()
        key_id = await house.add(text)
        principal = Principal(COMPANY, None, frozenset(), key_id)
        basic = b"Basic " + base64.b64encode(text.encode() + b":")
        assert await house.ask(key=text) == principal
        assert await house.ask(bearer=text) == principal
        assert await house.authenticator.principal(basic, None, PEER) == principal

    async def test_a_token_says_who_is_calling(self):
        principal = await House().ask(bearer=sign(claims(roles=[SUPERADMIN])))
        assert principal is not None
        assert principal[:4] == (COMPANY, "user-1", frozenset({SUPERADMIN}), "jwt:user-1")

    async def test_a_token_of_ours_that_does_not_count_is_told_why(self):
        with pytest.raises(TokenRejected, match="Token has expired"):
            await House().ask(bearer=sign(claims(exp=NOW - 600)))

    async def test_without_a_key_to_verify_with_no_token_is_anybodys(self):
        assert await House(Settings()).ask(bearer=sign(claims())) is None

    async def test_a_shown_thing_that_proves_nothing_is_nobody(self):
        assert await House().ask(key=KEY) is None
        assert await House().ask(bearer=sign(claims(), RSA)) is None


class TestTokenAndKey:
    async def test_the_token_says_who_and_the_key_must_be_valid_too(self):
        house = House()
        await house.add(roles=frozenset({SUPERADMIN}))
        assert await house.ask(bearer=sign(claims()), key=KEY) == Principal(
            COMPANY, "user-1", frozenset(), "jwt:user-1"
        )
        assert await house.ask(bearer=sign(claims()), key=WRONG_KEY) is None

    async def test_a_key_does_not_make_good_a_token_that_proves_nothing(self):
        house = House()
        await house.add()
        assert await house.ask(bearer=sign(claims(), RSA), key=KEY) is None
        with pytest.raises(TokenRejected):
            await house.ask(bearer=sign(claims(exp=1)), key=KEY)

    @pytest.mark.parametrize(
        ("of_token", "of_key", "is_good"),
        [(COMPANY, COMPANY, True), (COMPANY, None, True), (COMPANY, OTHER_COMPANY, False), (None, COMPANY, False)],
    )
    async def test_they_must_not_be_of_two_companies(self, of_token, of_key, is_good):
        house = House()
        await house.add(company_id=of_key)
        token = sign(claims(company_id=of_token))
        if is_good:
            assert (await house.ask(bearer=token, key=KEY)).company_id == of_token  # type: ignore[union-attr]
        else:
            for _ in range(2):
                with pytest.raises(Forbidden, match="another company"):
                    await house.ask(bearer=token, key=KEY)

    async def test_two_different_keys_are_nobodys(self):
        house = House()
        await house.add()
        await house.add(OTHER_KEY)
        assert await house.ask(bearer=OTHER_KEY, key=KEY) is None
        assert await house.ask(bearer=KEY, key=KEY) is not None

    @pytest.mark.parametrize(("exp", "expires_in_ms"), [(NOW + 10, 60_000), (NOW + 600, 1_000)])
    async def test_together_they_count_as_long_as_the_shorter_lived(self, exp, expires_in_ms):
        house = House()
        await house.add(expires_at_ms=NOW_MS + expires_in_ms)
        shown: dict[str, Any] = {"bearer": sign(claims(exp=exp)), "key": KEY}
        ends_ms = min((exp - NOW) * 1_000 + LEEWAY_MS, expires_in_ms)
        house.now_ms = NOW_MS + ends_ms - 1
        assert await house.ask(**shown) is not None
        house.now_ms += 1
        try:
            assert await house.ask(**shown) is None
        except TokenRejected:
            assert ends_ms != expires_in_ms


class TestRemembering:
    async def test_a_second_call_asks_the_store_nothing(self):
        house = House()
        key_id = await house.add()
        assert [await house.ask(key=KEY) is not None for _ in range(3)] == [True] * 3
        assert house.store.looked_up == [key_id]

    async def test_a_revoked_key_is_refused_at_once(self):
        house = House()
        key_id = await house.add()
        assert await house.ask(key=KEY) is not None
        await house.revoke(key_id)
        assert await house.ask(key=KEY) is None

    async def test_revoking_one_key_leaves_the_other_of_the_company_alive(self):
        house = House()
        old = await house.add()
        await house.add(GUID_KEY)
        await house.revoke(old)
        assert await house.ask(key=KEY) is None
        assert await house.ask(key=GUID_KEY) is not None

    async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(self):
        house = House()
        await house.add()
        find = house.store.find_key

        async def find_slowly(key_id: str) -> ApiKey | None:
            key = await find(key_id)
            await house.revoke(key_id)
            return key

        house.store.find_key = find_slowly  # type: ignore[method-assign]
        await house.ask(key=KEY)
        assert await house.ask(key=KEY) is None

    async def test_a_remembered_key_ends_when_it_expires(self):
        house = House()
        await house.add(expires_at_ms=NOW_MS + 1_000)
        assert await house.ask(key=KEY) is not None
        house.now_ms += 999
        assert await house.ask(key=KEY) is not None
        house.now_ms += 1
        assert await house.ask(key=KEY) is None

    async def test_a_remembered_token_ends_when_it_expires(self):
        house = House()
        token = sign(claims(exp=NOW + 1))
        assert await house.ask(bearer=token) is not None
        house.now_ms += 1_000 + LEEWAY_MS
        with pytest.raises(TokenRejected, match="Token has expired"):
            await house.ask(bearer=token)

    async def test_a_remembered_key_is_still_bound_to_its_networks(self):
        house = House()
        await house.add(networks=("192.0.2.0/24",))
        asked = [await house.ask(key=KEY, peer=peer) is not None for peer in (PEER, OTHER_PEER, None, PEER)]
        assert asked == [True, False, False, True]

    async def test_it_goes_by_the_whole_credential(self):
        house = House()
        await house.add()
        token = sign(claims())
        head, payload, signature = token.split(b".")
        forged = base64.urlsafe_b64encode(json.dumps(claims(sub="user-2")).encode()).strip(b"=")
        assert await house.ask(key=KEY) is not None
        assert await house.ask(bearer=token) is not None
        assert await house.ask(bearer=head + b"." + forged + b"." + signature) is None
        assert await house.ask(bearer=head + b"." + payload + b"." + signature[:-4]) is None
        assert await house.ask(key=KEY[:-1] + "t") is None
        assert await house.ask(bearer=token, key=WRONG_KEY) is None

    async def test_where_one_header_ends_and_the_other_begins_matters(self):
        digest = House().authenticator._digest
        pairs = [
            (b"ab", None),
            (None, b"ab"),
            (b"a", b"b"),
            (b"", b"ab"),
            (b"ab", b"x"),
            (b"2 ab", None),
            (b"ab", b""),
            (None, b"kab"),
            (None, b"2 ab"),
        ]
        assert len({digest(*pair) for pair in pairs}) == len(pairs)

    async def test_two_processes_remember_under_different_hashes(self):
        assert House().authenticator._digest(b"a", None) != House().authenticator._digest(b"a", None)

    async def test_memory_is_bounded_and_what_is_used_stays(self, monkeypatch):
        monkeypatch.setattr(module, "IDENTITIES_MAX", 3)
        house = House()
        tokens = [sign(claims(sub=f"user-{number}")) for number in range(4)]
        for token in (*tokens[:3], tokens[0], tokens[3]):
            assert await house.ask(bearer=token) is not None
        remembered = [one.principal.user_id for one in house.authenticator._identities.values()]
        assert remembered == ["user-2", "user-0", "user-3"]

    async def test_strangers_are_not_remembered(self):
        house = House()
        await house.fail(5, key=KEY)
        assert not house.authenticator._identities


class TestHoldingBack:
    @pytest.mark.parametrize("token", [sign(claims(), RSA), TOO_DEEP], ids=["signed by another", "too deep"])
    async def test_who_fails_too_often_must_wait(self, token):
        house = House()
        await house.fail(BURST, bearer=token)
        with pytest.raises(TooManyRequests) as caught:
            await house.ask(bearer=token)
        assert caught.value.retry_after_ms == INTERVAL_MS
        house.now_ms += INTERVAL_MS
        await house.fail(1, bearer=token)

    async def test_a_key_id_is_held_back_from_whatever_address(self):
        house = House()
        await house.add()
        for number in range(BURST):
            await house.fail(1, key=WRONG_KEY, peer=f"198.51.100.{number}")
        with pytest.raises(TooManyRequests):
            await house.ask(key=WRONG_KEY, peer="203.0.113.1")

    async def test_its_rightful_holder_is_not(self):
        house = House()
        await house.add()
        await house.add(OTHER_KEY)
        await house.fail(BURST, key=WRONG_KEY)
        for _ in range(100):
            with pytest.raises(TooManyRequests):
                await house.ask(key=WRONG_KEY)
        assert await house.ask(key=KEY) is not None  # the same key id, the same address, never seen before
        assert await house.ask(key=OTHER_KEY) is not None
        assert await house.ask(bearer=sign(claims())) is not None

    async def test_others_elsewhere_are_not(self):
        house = House()
        await house.fail(BURST, key=KEY)
        await house.fail(1, key=OTHER_KEY, peer=OTHER_PEER)

    async def test_a_stale_token_does_not_count_as_failing(self):
        house = House()
        for _ in range(BURST * 2):
            with pytest.raises(TokenRejected):
                await house.ask(bearer=sign(claims(exp=1)))
        await house.fail(1, key=KEY)

    async def test_showing_nothing_does_not_count_as_failing(self):
        house = House()
        for _ in range(BURST * 2):
            assert await house.authenticator.principal(b"Negotiate x", None, PEER) is None
            assert await house.authenticator.principal(None, None, PEER) is None
        await house.fail(BURST, key=KEY)


class TestSettings:
    @pytest.mark.parametrize("key", [RSA, EC], ids=["RSA", "EC"])
    async def test_a_public_key_file(self, tmp_path, key):
        (tmp_path / "key.pem").write_bytes(key.as_pem(private=False))
        house = House(Settings(jwt_public_key_file=tmp_path / "key.pem", jwt_audience="kvot"))
        assert await house.ask(bearer=sign(claims(aud="kvot"), key)) is not None
        assert await house.ask(bearer=sign(claims(aud="kvot"))) is None
        with pytest.raises(TokenRejected, match="Invalid Audience: other"):
            await house.ask(bearer=sign(claims(aud="other"), key))

    async def test_a_jwks_file(self, tmp_path):
        folder = tmp_path / "a folder"
        folder.mkdir()
        (folder / "jwks.json").write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
        url = f"file://{tmp_path}/a%20folder/jwks.json"
        house = House(Settings(jwt_jwks_url=url, jwt_issuer="https://id", jwt_company_claim="t.c"))
        token = sign(claims(iss="https://id", t={"c": OTHER_COMPANY}), RSA, kid="rsa-1")
        assert (await house.ask(bearer=token)).company_id == OTHER_COMPANY  # type: ignore[union-attr]
        await house.authenticator.close()

    async def test_a_remembered_token_is_proven_anew_when_its_signers_keys_may_have_changed(self, tmp_path):
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
        house = House(Settings(jwt_jwks_url=f"file://{path}"))
        token = sign(claims(exp=NOW + 86_400), RSA, kid="rsa-1")
        assert await house.ask(bearer=token) is not None
        path.write_text('{"keys": []}')
        house.now_ms += 600_000 - 1
        assert await house.ask(bearer=token) is not None
        house.now_ms += 1
        assert await house.ask(bearer=token) is None

    def test_a_key_file_that_is_not_there_stops_the_start(self, tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            House(Settings(jwt_public_key_file=tmp_path / "key.pem"))
