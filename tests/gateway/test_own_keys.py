"""Under whose key a call goes out: the company's own, else ours, else none; and never one that cannot be read."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.budget import Rules
from kvot.core.errors import Forbidden, KeyUnreadable
from kvot.core.provider_keys import SealedKey
from kvot.gateway.own_keys import REMEMBERED_MAX, OwnKeys
from kvot.gateway.provider import Provider
from kvot.gateway.providers import DIALECTS
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.operations.sealing import Sealer
from kvot.stores.memory import MemoryStore
from tests.gateway.conftest import COMPANY, OPERATOR

OTHER = "c0000000-0000-4000-8000-000000000002"
KEY = "sk-the-company-s-own-0123456789"
OURS = Provider("openai", DIALECTS["openai"], "https://provider.example/v1", "sk-ours")
HELLO = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
CONTENTS = {"contents": [{"parts": [{"text": "Hello"}]}]}


class CountingStore(MemoryStore):
    """`meanwhile` happens once, after a key was read and before it is given."""

    looked_up = 0
    meanwhile: Any = None

    async def find_provider_key(self, company_id: str, provider: str) -> SealedKey | None:
        self.looked_up += 1
        found = await super().find_provider_key(company_id, provider)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile
        return found


class House:
    """A store of sealed keys and who looks into it."""

    def __init__(self) -> None:
        self.store, self.sealer = CountingStore(Rules()), Sealer(bytes(32))
        self.keys = OwnKeys(self.store, self.sealer)

    async def set(self, company_id: str = COMPANY, api_key: str = KEY, *, sealed_for: str | None = None) -> None:
        sealed = self.sealer.seal(sealed_for or company_id, "openai", api_key)
        await self.store.set_provider_key(SealedKey(company_id, "openai", sealed, 0, "ann"), now_ms=0)

    async def key_of(self, company_id: str = COMPANY, provider: Provider = OURS) -> str:
        return (await self.keys.provider_for(company_id, provider)).api_key


@pytest.fixture
def house() -> House:
    return House()


async def test_a_company_without_a_key_of_its_own_goes_out_under_ours(house):
    await house.set(OTHER)
    assert await house.keys.provider_for(COMPANY, OURS) is OURS
    assert await house.key_of("") == "sk-ours"


async def test_a_company_goes_out_under_its_own_key_and_no_other_does(house):
    await house.set()
    assert [await house.key_of(), await house.key_of(OTHER)] == [KEY, "sk-ours"]


async def test_a_change_is_known_in_the_next_call(house):
    assert await house.key_of() == "sk-ours"
    await house.set()
    assert await house.key_of() == KEY
    await house.set(api_key="sk-another-one")
    assert await house.key_of() == "sk-another-one"
    await house.store.remove_provider_key(COMPANY, "openai", actor="ann", now_ms=0)
    assert await house.key_of() == "sk-ours"


async def test_the_store_is_asked_once_for_each_version(house):
    await house.set()
    for _ in range(10):
        assert [await house.key_of(), await house.key_of(OTHER)] == [KEY, "sk-ours"]
    assert house.store.looked_up == 2


async def test_what_is_remembered_has_a_bound(house):
    for number in range(REMEMBERED_MAX + 1):
        await house.key_of(f"company {number}")
    assert len(house.keys._remembered) == 1


async def test_what_was_read_before_a_change_is_not_remembered_after_it(house):
    house.store.meanwhile = house.set(api_key="sk-set-meanwhile")
    assert await house.key_of() == "sk-ours"
    assert await house.key_of() == "sk-set-meanwhile"


async def test_a_key_of_another_company_does_not_open_here(house):
    await house.set(OTHER, sealed_for=COMPANY)
    with pytest.raises(KeyUnreadable):
        await house.key_of(OTHER)


async def test_where_a_key_is_needed_and_there_is_none_nothing_is_sent(house):
    needing = Provider("openai", DIALECTS["openai"], "https://provider.example/v1", needs_key=True)
    with pytest.raises(Forbidden, match="keeps no key"):
        await house.key_of(provider=needing)
    await house.set()
    assert await house.key_of(provider=needing) == KEY


# -- served ----------------------------------------------------------------------------------------------------------


async def operator_key(scene: Any) -> str:
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"]))
    assert made.key is not None
    return made.key


async def change_key(scene: Any, verb: str, provider: str = "openai", **body: str) -> httpx2.Response:
    url = f"{scene.url}/assistant/ai-chat/providers/{provider}/key?CompanyId={COMPANY}"
    headers = {"authorization": f"Bearer {await operator_key(scene)}", "accept": "application/json"}
    async with httpx2.AsyncClient() as client:
        return await client.request(verb, url, headers=headers, json=body or None)


async def chat(scene: Any, key: str | None = None, **headers: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {key or scene.key}", **headers}
    async with httpx2.AsyncClient() as client:
        return await client.post(f"{scene.url}/openai/v1/chat/completions", json=HELLO, headers=headers)


async def test_a_call_goes_out_under_the_companys_key_from_its_setting_to_its_removal(scene):
    await chat(scene)
    assert (await change_key(scene, "PUT", ApiKey=KEY)).status_code == 200
    await chat(scene)
    assert (await change_key(scene, "DELETE")).status_code == 200
    await chat(scene)
    sent = [request.header("authorization") for request in scene.provider.requests]
    assert sent == ["Bearer sk-openai", f"Bearer {KEY}", "Bearer sk-openai"]


@pytest.mark.parametrize(
    ("provider", "path", "body", "header"),
    [
        ("anthropic", "/anthropic/v1/messages", HELLO, "x-api-key"),
        ("gemini", "/gemini/v1beta/models/m:generateContent", CONTENTS, "x-goog-api-key"),
    ],
)
async def test_every_dialect_sends_it_as_its_own_client_would(scene, provider, path, body, header):
    assert (await change_key(scene, "PUT", provider, ApiKey=KEY)).status_code == 200
    async with httpx2.AsyncClient() as client:
        await client.post(f"{scene.url}{path}", json=body, headers={header: scene.key})
    (received,) = scene.provider.requests
    assert received.header(header) == KEY


async def test_a_path_that_uses_no_tokens_goes_out_under_it_too(scene):
    await change_key(scene, "PUT", ApiKey=KEY)
    async with httpx2.AsyncClient() as client:
        await client.get(f"{scene.url}/openai/v1/models", headers={"authorization": f"Bearer {scene.key}"})
    assert scene.provider.requests[0].header("authorization") == f"Bearer {KEY}"


async def test_a_provider_without_a_key_of_ours_works_for_a_company_with_one(open_scene):
    scene = await open_scene(openai_api_key=None)
    await change_key(scene, "PUT", ApiKey=KEY)
    assert (await chat(scene)).status_code == 200
    assert scene.provider.requests[0].header("authorization") == f"Bearer {KEY}"


async def test_a_sealed_key_moved_to_another_company_fails_that_companys_calls_and_sends_nothing(scene):
    await change_key(scene, "PUT", ApiKey=KEY)
    store = scene.house.store
    moved = (await store.find_provider_key(COMPANY, "openai"))._replace(company_id=OTHER)
    await store.set_provider_key(moved, now_ms=0)
    reply = await chat(scene, await operator_key(scene), **{"x-kvot-company-id": OTHER})
    assert (reply.status_code, len(scene.provider.requests)) == (500, 0)
    assert reply.headers["x-should-retry"] == "false"
    assert "cannot be read" in reply.json()["error"]["message"]
    assert (await chat(scene)).status_code == 200


async def test_the_key_is_nowhere_but_at_the_provider(scene, tmp_path: Path, capfd):
    replies = [await change_key(scene, "PUT", ApiKey=KEY), await chat(scene)]
    replies.append(await change_key(scene, "PUT", "openai", ApiKey=f"{KEY} "))
    replies.append(await change_key(scene, "PUT", "nobody", ApiKey=KEY))
    headers = {"authorization": f"Bearer {await operator_key(scene)}", "accept": "application/json"}
    async with httpx2.AsyncClient() as client:
        for path in ("assistant/ai-chat/providers", "metrics"):
            replies.append(await client.get(f"{scene.url}/{path}?CompanyId={COMPANY}", headers=headers))
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert [reply.status_code for reply in replies] == [200, 200, 400, 404, 200, 200]
    assert len(files) >= 3
    assert not any(KEY.encode() in kept for kept in (*files, *(reply.content for reply in replies)))
    assert KEY not in "".join(capfd.readouterr())
