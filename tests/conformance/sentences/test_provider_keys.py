"""What every engine promises of companies' own keys to providers: one a provider, each its own company's."""

from kvot.core.provider_keys import SealedKey
from tests.conformance.scene import COMPANY, OTHER, T0, Scene

KEY = SealedKey(COMPANY, "openai", b"\x01\x00\xff sealed", T0, "ann")


async def keep(scene: Scene, key: SealedKey = KEY, *, now_ms: int = T0) -> None:
    await scene.store.set_provider_key(key, now_ms=now_ms)


async def remove(scene: Scene, company: str = COMPANY, provider: str = "openai") -> bool:
    return await scene.store.remove_provider_key(company, provider, actor="ann", now_ms=T0)


async def test_a_key_is_found_as_it_was_set(scene: Scene):
    await keep(scene)
    assert await scene.store.find_provider_key(COMPANY, "openai") == KEY
    await scene.reopen()
    assert await scene.store.find_provider_key(COMPANY, "openai") == KEY


async def test_a_key_is_found_for_its_company_and_its_provider_alone(scene: Scene):
    await keep(scene)
    assert await scene.store.find_provider_key(OTHER, "openai") is None
    assert await scene.store.find_provider_key(COMPANY, "anthropic") is None
    assert await scene.store.find_provider_key(COMPANY, "OpenAI") is None


async def test_a_key_takes_the_place_of_the_one_before_it(scene: Scene):
    await keep(scene)
    new = KEY._replace(sealed=b"new", set_at_ms=T0 + 5, set_by="bo")
    await keep(scene, new, now_ms=T0 + 5)
    assert await scene.store.list_provider_keys(COMPANY) == [new]


async def test_the_keys_of_a_company_are_listed_by_provider(scene: Scene):
    for provider in ("openai", "gemini", "mistral"):
        await keep(scene, KEY._replace(provider=provider))
    await keep(scene, KEY._replace(company_id=OTHER, provider="anthropic"))
    assert [key.provider for key in await scene.store.list_provider_keys(COMPANY)] == ["gemini", "mistral", "openai"]
    assert [key.company_id for key in await scene.store.list_provider_keys(OTHER)] == [OTHER]


async def test_a_removed_key_is_gone(scene: Scene):
    await keep(scene)
    await keep(scene, KEY._replace(company_id=OTHER))
    assert await remove(scene)
    await scene.reopen()
    assert await scene.store.find_provider_key(COMPANY, "openai") is None
    assert await scene.store.find_provider_key(OTHER, "openai") is not None


async def test_what_is_not_there_is_not_removed(scene: Scene):
    await keep(scene)
    assert not await remove(scene, company=OTHER)
    assert not await remove(scene, provider="gemini")
    assert not await remove(scene, provider="caf\udce9")  # of bytes that are not UTF-8
    assert await scene.store.find_provider_key(COMPANY, "openai") == KEY


async def test_the_version_changes_with_every_change(scene: Scene):
    versions = [scene.store.keys_version]
    await keep(scene)
    versions.append(scene.store.keys_version)
    await keep(scene, KEY._replace(sealed=b"new"))
    versions.append(scene.store.keys_version)
    await remove(scene)
    versions.append(scene.store.keys_version)
    assert len(set(versions)) == 4


async def test_the_version_stays_while_nothing_changes(scene: Scene):
    await keep(scene)
    version = scene.store.keys_version
    await scene.store.find_provider_key(COMPANY, "openai")
    await scene.store.list_provider_keys(COMPANY)
    assert scene.store.keys_version == version


async def test_keys_to_providers_make_no_company(scene: Scene):
    await keep(scene)
    assert await scene.store.companies() == []
