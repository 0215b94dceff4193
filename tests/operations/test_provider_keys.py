"""Companies' own keys to providers, through the one door: set, listed without the key, removed."""

from dataclasses import replace
from typing import Any

import pytest

from kvot.contract.describe import Instant
from kvot.contract.provider_keys import AiChatProviderKeyQuery, RemoveAiChatProviderKey, UpdateAiChatProviderKey
from kvot.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys, Services
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, WRITER, ask, open_services

KEY = "sk-proj-0123456789abcdefWXYZ"


@pytest.fixture
def services() -> Services:
    return open_services()


async def set_key(services: Services, api_key: str | None = KEY, provider: str = "openai", company: str = ACME) -> Any:
    return await ask(
        services, OPERATOR, UpdateAiChatProviderKey(company_id=company, provider=provider, api_key=api_key)
    )


async def listed(services: Services, company: str = ACME) -> dict[str, Any]:
    reply = await ask(services, OPERATOR, AiChatProviderKeyQuery(company_id=company))
    return {info.provider: info for info in reply.results}


async def test_a_key_is_kept_sealed_and_never_shown(services):
    reply = await set_key(services)
    kept = await services.provider_keys.store.find_provider_key(ACME, "openai")
    assert services.provider_keys.sealer.open(ACME, "openai", kept.sealed) == KEY
    assert KEY.encode() not in kept.sealed
    assert KEY not in repr([reply, await listed(services), kept, services])


async def test_no_key_is_sealed_under_a_secret_that_was_replaced(services):
    services = replace(services, secret_check=b"first")
    await set_key(services)
    await services.keys.bind_secret(b"second", replaced_by="cli", now_ms=NOW_MS)
    with pytest.raises(Conflict, match="The secret of this server is not the one that keys are made under now"):
        await set_key(services, company=OTHER)
    assert not (await listed(services, OTHER))["openai"].has_key


async def test_the_list_says_that_a_key_is_there_since_when_and_by_whom(services):
    await set_key(services)
    info = (await listed(services))["openai"]
    assert (info.is_offered, info.has_key, info.is_readable) == (True, True, True)
    assert (info.last_characters, info.set_at, info.set_by) == ("WXYZ", Instant(NOW_MS), "cli")


async def test_every_provider_offered_is_listed_and_each_company_sees_its_own(services):
    await set_key(services)
    assert {name: info.has_key for name, info in (await listed(services)).items()} == {
        "anthropic": False,
        "openai": True,
    }
    assert not any(info.has_key for info in (await listed(services, OTHER)).values())


async def test_of_a_short_key_nothing_is_shown(services):
    await set_key(services, "short-key")
    assert (await listed(services))["openai"].last_characters is None


async def test_a_removed_key_is_gone_also_where_its_provider_is_offered_no_more(services):
    await set_key(services)
    keys = replace(services.provider_keys, offered=())
    services = replace(services, provider_keys=keys)
    assert [(info.is_offered, info.has_key) for info in (await listed(services)).values()] == [(False, True)]
    reply = await ask(services, OPERATOR, RemoveAiChatProviderKey(company_id=ACME, provider="openai"))
    assert not reply.result.has_key
    assert await listed(services) == {}
    with pytest.raises(NotFound):
        await ask(services, OPERATOR, RemoveAiChatProviderKey(company_id=ACME, provider="openai"))


async def test_a_key_of_another_secret_is_said_to_be_unreadable(services):
    await set_key(services)
    store = services.provider_keys.store
    services = replace(services, provider_keys=ProviderKeys(store, Sealer(b"other" + bytes(27))))
    info = (await listed(services))["openai"]
    assert (info.has_key, info.is_readable, info.last_characters) == (True, False, None)


async def test_a_key_to_nobody_is_not_kept(services):
    for provider in ("mistral", "OpenAI", "../openai"):
        with pytest.raises(NotFound):
            await set_key(services, provider=provider)
    assert await services.provider_keys.store.list_provider_keys(ACME) == []


@pytest.mark.parametrize(
    "key", [None, "", "seven-7", "x" * 4_097, "with a space in it", "line\r\nx-evil: 1", "nyckel-åäö"]
)
async def test_a_bad_key_is_refused_without_repeating_it(services, key):
    with pytest.raises(InvalidRequest) as caught:
        await set_key(services, key)
    assert [fault.field for fault in caught.value.fields] == ["ApiKey"]
    assert not key or key not in repr([caught.value.message, caught.value.fields])
    meta = caught.value.fields[0].meta
    assert meta is not None
    assert meta["PropertyName"] == "Api Key"
    assert await services.provider_keys.store.list_provider_keys(ACME) == []


@pytest.mark.parametrize("caller", [USER, WRITER], ids=["user", "writer"])
@pytest.mark.parametrize(
    "request_made",
    [
        UpdateAiChatProviderKey(provider="openai", api_key=KEY),
        RemoveAiChatProviderKey(provider="openai"),
        AiChatProviderKeyQuery(),
    ],
    ids=lambda it: type(it).__name__,
)
async def test_keys_are_for_superadmins(services, request_made, caller):
    with pytest.raises(Forbidden):
        await ask(services, caller, request_made)


async def test_an_operator_says_whose_key_it_is(services):
    with pytest.raises(Forbidden, match="name one as CompanyId"):
        await ask(services, OPERATOR, UpdateAiChatProviderKey(provider="openai", api_key=KEY))
