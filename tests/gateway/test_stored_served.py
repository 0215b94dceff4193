"""Whose a stored response is, as `kvot serve` knows it: after a stop, after a kill, and in every worker."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest

from kvot.bootstrap import open_services
from kvot.contract.keys import CreateApiKey
from kvot.operations import Caller
from kvot.operations.keys import create_key
from kvot.settings import Settings
from tests.cli.support import start
from tests.gateway.calls import CALLS, headers_of
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.postgres.databases import DATABASES, shared_server
from tests.postgres.needed import needed
from tests.provider import Provider, Script

OTHER = "c0000000-0000-4000-8000-000000000002"
SECRET = "of this test alone, and of no other database"
PATH, BODY = CALLS["responses"]
CALLS_IN_TURN = 12
"""Each on a connection of its own, so that more than one worker answers."""


class Served:
    """`kvot serve` in processes of its own, and the keys of two companies."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, keys: dict[str, str]) -> None:
        self.process = process
        self.url = url
        self.keys = keys

    def client(self, company_id: str = COMPANY) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/openai/v1", api_key=self.keys[company_id])

    async def get(self, company_id: str = COMPANY, reply_id: str = "resp_1") -> int:
        """The status of a look at a response."""
        async with httpx2.AsyncClient(verify=False) as client:
            path = f"{PATH}/{reply_id}"
            reply = await client.get(self.url + path, headers=headers_of(path, self.keys[company_id]))
            return reply.status_code


async def make_keys(database: str) -> dict[str, str]:
    house = open_services(Settings.load({"KVOT_SECRET": SECRET}, None, {"database": database}))
    keys = {}
    for company_id in (COMPANY, OTHER):
        made = await create_key(house.services, Caller(OPERATOR), CreateApiKey(company_id=company_id))
        assert made.key is not None
        keys[company_id] = made.key
    await house.close()
    return keys


@asynccontextmanager
async def serve(
    provider: Provider, database: str, keys: dict[str, str], *, workers: int = 1, **more: str
) -> AsyncIterator[Served]:
    """more: settings by the names of their variables."""
    environment = {"KVOT_OPENAI_BASE_URL": provider.url, "KVOT_OPENAI_API_KEY": "sk-ours", "KVOT_SECRET": SECRET} | more
    options = ("--port", 0, "--workers", workers, "--database", database, "--json")
    with start("serve", *options, environment=environment) as process:
        assert process.stdout is not None
        try:
            line = await asyncio.to_thread(process.stdout.readline)
            yield Served(process, json.loads(line)["url"], keys)
        finally:
            process.terminate()
            await asyncio.to_thread(process.communicate)


async def test_a_company_reaches_what_it_made_before_the_server_was_started_again(tmp_path):
    database = f"sqlite:///{tmp_path}/kvot.db"
    keys = await make_keys(database)
    async with Provider() as provider:
        async with serve(provider, database, keys) as served, served.client() as client:
            made = await client.responses.create(model="m", input="Hello")
        async with serve(provider, database, keys) as served, served.client() as client, served.client(OTHER) as other:
            await client.responses.create(model="m", input="And?", previous_response_id=made.id)
            await client.responses.delete(made.id)
            with pytest.raises(openai.NotFoundError, match="Response with id"):
                await other.responses.retrieve(made.id)


@pytest.mark.parametrize("call", ["responses", "responses-stream"])
async def test_a_company_that_has_its_whole_answer_reaches_it_although_the_server_is_killed(tmp_path, call):
    database = f"sqlite:///{tmp_path}/kvot.db"
    keys = await make_keys(database)
    path, body = CALLS[call]
    async with Provider() as provider:
        async with serve(provider, database, keys) as served, httpx2.AsyncClient(verify=False) as client:
            reply = await client.post(served.url + path, json=body, headers=headers_of(path, keys[COMPANY]))
            served.process.kill()  # the reply has just ended
            assert reply.status_code == 200
        async with serve(provider, database, keys) as served:
            assert await served.get() == 200
            assert await served.get(OTHER) == 404


async def test_every_worker_knows_what_another_was_told(tmp_path):
    needed(shared_server)
    database = await DATABASES.url(tmp_path)
    keys = await make_keys(database)
    async with Provider() as provider, serve(provider, database, keys, workers=2) as served:
        for number in range(CALLS_IN_TURN):
            reply_id = f"resp_{number}"
            provider.script = Script(reply_id=reply_id)
            async with httpx2.AsyncClient(verify=False) as client:
                await client.post(served.url + PATH, json=BODY, headers=headers_of(PATH, keys[COMPANY]))
            assert [await served.get(COMPANY, reply_id), await served.get(OTHER, reply_id)] == [200, 404]
    DATABASES.discard(tmp_path)
