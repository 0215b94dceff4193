"""What a stream that is cut leaves in the log: our own line where somebody must look, and nothing of uvicorn's."""

import asyncio

import httpx2
import pytest

from kvot.http import server
from tests.gateway.calls import CALLS, Seen, ask, headers_of, is_stream, post
from tests.provider import Fault, Script

STREAMS = [call for call in CALLS if is_stream(call)]
LONG = "zq-said-by-the-model " * 500


@pytest.mark.parametrize("call", STREAMS)
@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE_USAGE, Fault.BROKEN_FRAMES])
async def test_a_provider_that_breaks_off_is_one_line(open_scene, caplog, capfd, call, fault):
    scene = await open_scene(Script(fault=fault, text=LONG))
    seen = await ask(scene, call)
    assert (seen.status, seen.is_whole) == (200, False)
    await scene.settled()
    logged = capfd.readouterr()
    (line,) = (logged.out + logged.err).splitlines()
    assert "provider failed" in line
    assert "zq-said" not in line
    assert caplog.messages == []


@pytest.mark.parametrize("call", STREAMS)
async def test_a_client_that_leaves_is_none(open_scene, caplog, capfd, call):
    scene = await open_scene(Script(fault=Fault.STALL))
    path, body = CALLS[call]
    async with (
        httpx2.AsyncClient() as client,
        client.stream("POST", scene.url + path, json=body, headers=headers_of(path, scene.key)) as reply,
    ):
        await anext(reply.aiter_raw())
    await scene.settled()
    logged = capfd.readouterr()
    assert (logged.out + logged.err, caplog.messages) == ("", [])


async def test_a_stop_that_waits_no_longer_leaves_no_stack_trace(open_scene, caplog, monkeypatch):
    """uvicorn says itself that it gave up waiting; the calls that it cancels are no faults of ours."""
    monkeypatch.setattr(server, "DRAIN_S", 0)
    scene = await open_scene(Script(fault=Fault.STALL))
    path, body = CALLS["chat-stream"]
    seen = Seen()
    call = asyncio.create_task(post(scene, path, body, seen=seen))
    while not seen.body:
        await asyncio.sleep(0)
    scene.stopper.stop()
    await call
    assert (seen.status, seen.is_whole) == (200, False)
    assert [each for each in caplog.records if each.exc_info] == []
