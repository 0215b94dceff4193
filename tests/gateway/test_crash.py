"""R3 for calls: a server that is killed while one is under way charges it when its hold has run out."""

import asyncio
import json

import httpx2

from kvot.bootstrap import open_services
from kvot.settings import Settings
from tests.cli.support import start
from tests.gateway.calls import CALLS, headers_of
from tests.gateway.conftest import COMPANY
from tests.provider import Fault, Provider, Script

TTL_S = 3
HELD = (
    84 + 32 + 100
)  # a token for each byte of the model, role and text and what is around them, what is added, the ceiling


async def ask(url: str, key: str) -> None:
    path, body = CALLS["chat"]
    async with httpx2.AsyncClient(verify=False) as client:
        await client.post(url + path, json=body, headers=headers_of(path, key))


async def test_a_call_under_way_is_charged_its_estimate_after_the_crash(tmp_path):
    where = ("--database", f"{tmp_path}/kvot.db")
    out, _ = await asyncio.to_thread(
        start("keys", "create", "--json", "--company", COMPANY, *where).communicate, timeout=60
    )
    async with Provider(Script(fault=Fault.HANG)) as provider:
        environment = {"KVOT_OPENAI_BASE_URL": provider.url, "KVOT_HOLD_TTL_S": str(TTL_S)}
        with start("serve", "--port", 0, *where, environment=environment) as process:
            assert process.stdout is not None
            url = (await asyncio.to_thread(process.stdout.readline)).split()[-1]
            client = asyncio.create_task(ask(url, json.loads(out)["key"]))
            await provider.arrival()
            process.kill()
            await asyncio.to_thread(process.communicate)
        await asyncio.wait([client])
    assert client.exception() is not None
    house = open_services(Settings.load({}, None, {"database": f"sqlite:///{tmp_path}/kvot.db"}))
    try:
        usage = await house.services.ledger.usage(COMPANY)
        assert (usage.tokens_used, usage.tokens_held) == (0, HELD)
        while usage.tokens_held:
            usage = await house.services.ledger.usage(COMPANY)
        assert usage.tokens_used == HELD
    finally:
        await house.close()
