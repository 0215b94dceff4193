"""A repeated call is charged once also where its attempts reach two processes, or one that has died in between.

Two gateways over one store stand for two processes: each remembers its own attempts alone. Those that are killed are
real ones.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from kvot.bootstrap import open_app
from kvot.core.model import HoldEnd, HoldState, Source
from kvot.gateway.elsewhere import is_lost
from kvot.gateway.retries import ATTEMPTS_MAX
from kvot.http.server import Stopper, serve
from kvot.settings import OWN_PROVIDERS, Settings
from tests.gateway import test_stored_served as served
from tests.gateway.calls import ask
from tests.gateway.conftest import COMPANY, Scene
from tests.postgres.databases import DATABASES, shared_server
from tests.postgres.needed import needed
from tests.provider import Fault, Provider, Script

FIRST, AGAIN = ({"x-stainless-retry-count": f"{count}"} for count in range(2))
KEYED = {"idempotency-key": "turn-7"}
SENT_TWICE = [(FIRST, AGAIN), (KEYED, KEYED)]
TOKENS = 21
TTL_S = 3
ENDS_WITHIN_S = 30.0


@asynccontextmanager
async def beside(scene: Scene, **more: Any) -> AsyncIterator[Any]:
    """A second gateway over the same store, that knows nothing of what the first one remembers. It is left when it has
    nothing more to do; the house is the first one's."""
    overrides = {f"{name}_base_url": scene.provider.url for name in OWN_PROVIDERS}
    overrides |= {f"{name}_api_key": f"sk-{name}" for name in OWN_PROVIDERS}
    app, _ = open_app(Settings.load({}, None, overrides | more), scene.house)
    assert app._gateway is not None
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopper = Stopper()
    serving = serve(
        app, "127.0.0.1", 0, on_started=started.set_result, close=app._gateway._gateway.close, stopper=stopper
    )
    task = asyncio.create_task(serving)
    try:
        yield SimpleNamespace(url=await started, key=scene.key)
    finally:
        stopper.stop()
        await task


async def leave(scene: Scene, headers: dict[str, str], call: str = "chat", *, gateway: Any = None) -> None:
    """Ask the first gateway, or another, and leave once the provider has been asked."""
    count = len(scene.provider.requests) + 1
    client = asyncio.create_task(ask(gateway or scene, call, headers))
    received = await scene.provider.arrival(count)
    client.cancel()
    await received.closed.wait()
    assert await scene.settled() > 0


@pytest.mark.parametrize("call", ["chat", "messages-stream", "responses", "gemini-stream"])
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_an_attempt_that_was_lost_at_another_process_is_taken_back(open_scene, call, first, again):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    await leave(scene, first, call)
    async with beside(scene) as other:
        assert (await ask(other, call, again)).is_whole
        assert await scene.comes_to(TOKENS)
    assert (await scene.house.services.ledger.verify(COMPANY)).differences == ()


@pytest.mark.parametrize("headers", [AGAIN, KEYED])
async def test_delivered_answers_are_each_charged_however_often_processes_are_changed(open_scene, headers):
    scene = await open_scene(Script())
    async with beside(scene) as one, beside(scene) as two, beside(scene) as three:
        for gateway in (scene, one, two, three):
            assert (await ask(gateway, "chat-stream", headers)).is_whole
    assert await scene.settled() == 4 * TOKENS


@pytest.mark.parametrize("headers", [AGAIN, KEYED])
async def test_delivered_answers_without_figures_are_each_charged(open_scene, headers):
    scene = await open_scene(Script(fault=Fault.USAGE_MISSING))
    used = []
    async with beside(scene) as one, beside(scene) as two:
        for gateway in (scene, one, two):
            assert (await ask(gateway, "chat", headers)).is_whole
            used.append(await scene.settled())
    assert {share.label for share in await scene.shares("source")} == {Source.ESTIMATED}
    assert used == sorted(set(used))
    assert await scene.used() == used[-1]


async def test_one_answer_takes_back_no_more_than_clients_retry(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG))
    charged = []
    for _ in range(ATTEMPTS_MAX + 1):
        before = await scene.used()
        await leave(scene, FIRST)
        charged.append(await scene.settled() - before)
    scene.provider.script = Script()
    async with beside(scene) as other:
        assert (await ask(other, "chat", {"x-stainless-retry-count": "9"})).is_whole
        assert await scene.comes_to(sum(charged[:-ATTEMPTS_MAX]) + TOKENS)


@pytest.mark.parametrize("headers", [AGAIN, KEYED])
async def test_what_two_processes_find_lost_is_taken_back_once(open_scene, headers):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    await leave(scene, headers)
    async with beside(scene) as other:
        assert (await ask(other, "chat", headers)).is_whole
        assert await scene.comes_to(TOKENS)
        assert (await ask(scene, "chat", headers)).is_whole
    assert await scene.comes_to(2 * TOKENS)
    assert (await scene.house.services.ledger.verify(COMPANY)).differences == ()


async def test_other_words_and_another_key_are_another_call(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    await leave(scene, FIRST)
    lost = await scene.used()
    async with beside(scene) as other:
        for call, headers in (("chat-stream", AGAIN), ("chat", FIRST), ("chat", KEYED), ("chat", {})):
            assert (await ask(other, call, headers)).is_whole
    assert await scene.settled() == lost + 4 * TOKENS


async def test_an_attempt_that_is_under_way_and_then_lost_is_taken_back(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), Script(), hold_ttl_s=TTL_S)
    client = asyncio.create_task(ask(scene, "chat", FIRST))
    received = await scene.provider.arrival()
    async with beside(scene) as other:
        assert (await ask(other, "chat", AGAIN)).is_whole
        assert (await scene.used(), await scene.held() > 0) == (TOKENS, True)
        client.cancel()
        await received.closed.wait()
        assert await scene.comes_to(TOKENS)


async def test_what_was_found_in_the_ledger_is_not_taken_from_memory_in_the_place_of_another(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), Script(), Script(fault=Fault.HANG), Script())
    client = asyncio.create_task(ask(scene, "chat", FIRST))
    received = await scene.provider.arrival()
    assert (await ask(scene, "chat", AGAIN)).is_whole
    client.cancel()
    await received.closed.wait()
    assert await scene.comes_to(TOKENS)
    async with beside(scene) as other:
        await leave(scene, FIRST, gateway=other)
    assert (await ask(scene, "chat", AGAIN)).is_whole
    assert await scene.comes_to(2 * TOKENS)


async def test_what_another_process_took_back_is_not_taken_from_memory_in_the_place_of_its_own(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG), Script(), Script(fault=Fault.HANG), Script())
    async with beside(scene) as other:
        await leave(scene, FIRST, gateway=other)
        assert (await ask(scene, "chat", AGAIN)).is_whole
        assert await scene.comes_to(TOKENS)
        await leave(scene, FIRST)
        assert (await ask(other, "chat", AGAIN)).is_whole
    assert await scene.settled() == 2 * TOKENS  # a server that stopped has nothing more to do


@pytest.mark.parametrize(("headers", "looks"), [({}, 0), (FIRST, 0), (AGAIN, 1), (KEYED, 1)])
async def test_only_a_call_that_may_be_a_repetition_looks_for_others(scene, monkeypatch, headers, looks):
    asked = list[Any]()
    ledger_type = type(scene.house.services.ledger)
    look = ledger_type.tagged_holds

    async def noted(*arguments: Any, **more: Any) -> Any:
        asked.append(arguments)
        return await look(*arguments, **more)

    monkeypatch.setattr(ledger_type, "tagged_holds", noted)
    async with beside(scene) as gateway:
        assert (await ask(gateway, "chat", headers)).is_whole
    assert len(asked) == looks


ENDS = [
    (HoldState.OPEN, None, None, False),
    (HoldState.CHARGED, None, 100, True),
    (HoldState.CHARGED, None, 99, False),
    (HoldState.EXPIRED, None, 100, False),
    (HoldState.RELEASED, None, 100, False),
    (HoldState.SETTLED, Source.PARTIAL, 100, True),
    (HoldState.SETTLED, Source.PARTIAL, 99, False),
    (HoldState.SETTLED, Source.REPORTED, 100, False),
    (HoldState.SETTLED, Source.ESTIMATED, 100, False),
]


@pytest.mark.parametrize(("state", "source", "closed_at_ms", "lost"), ENDS)
def test_lost_is_what_ran_out_lately_and_what_was_not_whole(state, source, closed_at_ms, lost):
    assert is_lost(HoldEnd("h", state, 0, closed_at_ms, 21, source), since_ms=100) is lost


# -- processes ---------------------------------------------------------------------------------------------------


async def comes_to(process: served.Served, tokens: int) -> bool:
    """Whether so much is used once nothing is held any more."""
    path, headers = "/assistant/ai-chat/usage/report", {"authorization": f"Bearer {process.keys[COMPANY]}"}
    async with httpx2.AsyncClient(verify=False) as client, asyncio.timeout(ENDS_WITHIN_S):
        while True:
            told = (await client.get(process.url + path, headers=headers | {"accept": "application/json"})).json()
            if (told["tokensUsed"], told["tokensHeld"]) == (tokens, 0):
                return True


def at(process: served.Served) -> Any:
    return SimpleNamespace(url=process.url, key=process.keys[COMPANY])


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_a_call_that_a_crash_cut_and_that_is_repeated_is_charged_once(tmp_path, call, first, again):
    database = f"sqlite:///{tmp_path}/kvot.db"
    ttl: dict[str, Any] = {"KVOT_HOLD_TTL_S": str(TTL_S)}
    keys = await served.make_keys(database)
    async with Provider(Script(fault=Fault.HANG), Script()) as provider:
        async with served.serve(provider, database, keys, **ttl) as process:
            client = asyncio.create_task(ask(at(process), call, first))
            await provider.arrival()
            process.process.kill()
            await asyncio.wait([client])
        async with served.serve(provider, database, keys, **ttl) as process:
            assert (await ask(at(process), call, again)).is_whole
            assert await comes_to(process, TOKENS)


@pytest.mark.parametrize(("first", "again"), SENT_TWICE)
async def test_two_servers_on_one_postgresql_charge_a_repeated_call_once(tmp_path, first, again):
    needed(shared_server)
    database = await DATABASES.url(tmp_path)
    keys = await served.make_keys(database)
    async with (
        Provider(Script(fault=Fault.HANG), Script()) as provider,
        served.serve(provider, database, keys) as one,
        served.serve(provider, database, keys) as two,
    ):
        client = asyncio.create_task(ask(at(one), "chat", first))
        received = await provider.arrival()
        client.cancel()
        await received.closed.wait()
        assert (await ask(at(two), "chat", again)).is_whole
        assert await comes_to(two, TOKENS)
    DATABASES.discard(tmp_path)
