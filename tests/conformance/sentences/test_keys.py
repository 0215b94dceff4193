"""What every engine promises of API keys: once added they are found, once revoked they stay revoked."""

from kvot.core.keys import ApiKey
from kvot.core.principal import SUPERADMIN, USAGE_WRITER
from tests.conformance.scene import COMPANY, DAY, OTHER, T0, Scene

ROLES = frozenset({SUPERADMIN, USAGE_WRITER})
KEY = ApiKey("k1", b"\x00\xff" * 16, COMPANY, ROLES, "batch job", T0, "ann", T0 + DAY, None, ("10.0.0.0/8", "::1/128"))


async def add(scene: Scene, key: ApiKey = KEY, *, now_ms: int = T0) -> bool:
    return await scene.store.add_key(key, actor="ann", now_ms=now_ms)


async def revoke(scene: Scene, key_id: str, *, company: str | None = None, now_ms: int = T0) -> bool:
    return await scene.store.revoke_key(key_id, company_id=company, actor="ann", now_ms=now_ms)


async def test_a_key_is_found_as_it_was_added(scene: Scene):
    assert await add(scene)
    assert await scene.store.find_key("k1") == KEY
    await scene.reopen()
    assert await scene.store.find_key("k1") == KEY


async def test_a_key_may_say_next_to_nothing(scene: Scene):
    bare = ApiKey("k1", b"h" * 32, None, frozenset(), None, T0, "ann")
    assert await add(scene, bare)
    assert await scene.store.find_key("k1") == bare


async def test_an_unknown_key_is_not_found(scene: Scene):
    await add(scene)
    assert await scene.store.find_key("k2") is None
    assert await scene.store.find_key("K1") is None


async def test_an_id_is_taken_once(scene: Scene):
    await add(scene)
    assert not await add(scene, KEY._replace(secret_hash=b"other" * 6, company_id=OTHER))
    assert await scene.store.find_key("k1") == KEY


async def test_keys_are_listed_oldest_first_revoked_ones_included(scene: Scene):
    await add(scene, KEY._replace(key_id="young", created_at_ms=T0 + 2))
    await add(scene, KEY._replace(key_id="old", created_at_ms=T0))
    await add(scene, KEY._replace(key_id="middle", created_at_ms=T0 + 1, expires_at_ms=T0 + 1))
    await revoke(scene, "old", now_ms=T0 + 3)
    assert [key.key_id for key in await scene.store.list_keys()] == ["old", "middle", "young"]


async def test_the_keys_of_a_company_are_its_own(scene: Scene):
    await add(scene)
    await add(scene, KEY._replace(key_id="k2", company_id=OTHER))
    await add(scene, KEY._replace(key_id="k3", company_id=None))
    assert [key.key_id for key in await scene.store.list_keys(company_id=OTHER)] == ["k2"]
    assert len(await scene.store.list_keys()) == 3


async def test_a_revoked_key_says_since_when_and_revoking_twice_keeps_the_first_time(scene: Scene):
    await add(scene)
    assert await revoke(scene, "k1", now_ms=T0 + 5)
    assert await revoke(scene, "k1", now_ms=T0 + 9)
    assert await scene.store.find_key("k1") == KEY._replace(revoked_at_ms=T0 + 5)
    await scene.reopen()
    assert await scene.store.find_key("k1") == KEY._replace(revoked_at_ms=T0 + 5)


async def test_a_key_is_revoked_only_in_its_own_company(scene: Scene):
    await add(scene)
    assert not await revoke(scene, "k1", company=OTHER)
    assert await scene.store.find_key("k1") == KEY
    assert await revoke(scene, "k1", company=COMPANY)


async def test_an_unknown_key_is_not_revoked(scene: Scene):
    for key_id in ("k1", "caf\udce9"):  # the second as it comes from a command line, of bytes that are not UTF-8
        assert not await revoke(scene, key_id)


async def test_the_id_of_a_revoked_key_stays_taken(scene: Scene):
    await add(scene)
    await revoke(scene, "k1")
    assert not await add(scene)


async def test_the_version_changes_with_every_change_of_a_key(scene: Scene):
    versions = [scene.store.keys_version]
    await add(scene)
    versions.append(scene.store.keys_version)
    await add(scene, KEY._replace(key_id="k2"))
    versions.append(scene.store.keys_version)
    await revoke(scene, "k1")
    versions.append(scene.store.keys_version)
    assert len(set(versions)) == 4


async def test_the_version_stays_while_no_key_changes(scene: Scene):
    await add(scene)
    version = scene.store.keys_version
    await scene.store.find_key("k1")
    await scene.store.list_keys()
    await scene.record("e", 5)
    assert scene.store.keys_version == version


async def test_keys_make_no_company(scene: Scene):
    await add(scene)
    assert await scene.store.companies() == []


async def test_the_first_secret_is_the_one_and_another_is_told_from_it(scene: Scene):
    assert await scene.store.bind_secret(b"first")
    assert not await scene.store.bind_secret(b"second")
    await scene.reopen()
    assert await scene.store.bind_secret(b"first")


async def test_a_secret_is_replaced_by_whoever_says_so(scene: Scene):
    await scene.store.bind_secret(b"first")
    assert await scene.store.bind_secret(b"second", replaced_by="ann", now_ms=T0)
    assert [await scene.store.bind_secret(each) for each in (b"first", b"second")] == [False, True]
    assert (await scene.store.verify_shared(now_ms=T0)).audit_lines in (0, 1)
