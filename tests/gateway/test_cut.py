"""Streams that are cut: what they leave in the log (our own line where somebody must look, nothing of uvicorn's), and
who counts as gone."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from kvot.core.model import Source
from kvot.gateway import asking
from kvot.gateway.estimate import UNLEARNED_TOKENS_PER_SECOND
from kvot.http import server
from tests.gateway.calls import CALLS, REPLIES_WITHIN_S, Seen, ask, connect, headers_of, is_stream, post
from tests.gateway.conftest import opened
from tests.gateway.test_ends import asked
from tests.gateway.test_faults import CLOSED_WITHIN_S
from tests.gateway.test_receipts_kept import latest
from tests.provider import Fault, Script

STREAMS = [call for call in CALLS if is_stream(call)]
THOUGHT_S = 0.5
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


@pytest.mark.parametrize("call", STREAMS)
async def test_what_a_model_thought_before_its_text_is_charged_to_a_client_that_leaves_after_it(
    open_scene, call, monkeypatch, tmp_path
):
    pace, now_s = asyncio.Semaphore(0), [1_000.0]
    monkeypatch.setattr(asking, "perf_counter", lambda: now_s[0])
    scene = await open_scene(Script(text="zq-said", pace=pace))
    path, body = CALLS[call]
    seen = Seen()
    client = asyncio.create_task(post(scene, path, body, seen=seen))
    await scene.provider.arrival()
    now_s[0] += THOUGHT_S
    async with asyncio.timeout(10):
        while b"zq-said" not in seen.body:
            pace.release()
            seen_bytes = len(seen.body)
            while len(seen.body) == seen_bytes:
                await asyncio.sleep(0)
    now_s[0] += 10 * THOUGHT_S  # while its client reads what it was given
    client.cancel()
    charged = (await latest(scene, tmp_path)).detail
    assert charged.output_tokens == THOUGHT_S * UNLEARNED_TOKENS_PER_SECOND


@pytest.mark.parametrize("call", CALLS)
async def test_so_is_it_where_all_of_a_stream_came_without_its_figures(open_scene, call, monkeypatch, tmp_path):
    """A plain answer would have had them."""
    now_s, reply = [1_000.0], asyncio.Semaphore(0)
    monkeypatch.setattr(asking, "perf_counter", lambda: now_s[0])
    scene = await open_scene(Script(pace=reply, fault=Fault.USAGE_MISSING))
    client = asyncio.create_task(ask(scene, call))
    await scene.provider.arrival()
    now_s[0] += THOUGHT_S
    for _ in range(20):
        reply.release()
    assert (await client).is_whole
    charged = (await latest(scene, tmp_path)).detail
    assert (charged.output_tokens == THOUGHT_S * UNLEARNED_TOKENS_PER_SECOND) == is_stream(call)
    assert (await scene.shares("source"))[0].label == Source.ESTIMATED


async def test_a_stop_that_waits_no_longer_leaves_no_stack_trace(open_scene, caplog, monkeypatch):
    """The calls that it cuts are no faults of ours, and those that it says it has cut are no error."""
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
    assert caplog.messages == []


async def test_a_call_that_is_still_arriving_holds_no_stop(open_scene, caplog, monkeypatch):
    monkeypatch.setattr(server, "ARRIVE_S", 0)
    scene = await open_scene()
    reader, writer = await connect(scene)
    key = b"authorization: Bearer " + scene.key.encode()
    writer.write(b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: h\r\n" + key + b"\r\nexpect: 100-continue\r\n")
    writer.write(b"content-length: 500\r\n\r\n{")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    scene.stopper.stop()
    async with asyncio.timeout(REPLIES_WITHIN_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert (head.partition(b"\r\n")[0], b"x-kvot-request-id: req_" in head) == (
        b"HTTP/1.1 503 Service Unavailable",
        True,
    )
    assert json.loads(body)["error"]["message"] == "The server is stopping."
    assert (await scene.held(), len(scene.provider.requests), caplog.messages) == (0, 0, [])


@pytest.mark.parametrize("call", ["chat", "chat-stream", "messages-stream"])
async def test_a_stop_that_waits_no_longer_charges_what_it_cuts(tmp_path, monkeypatch, call):
    """Whoever comes after it finds no hold: one that is left would be charged in full, and be in the way until then."""
    monkeypatch.setattr(server, "DRAIN_S", 0)
    async with opened(tmp_path, Script(fault=Fault.STALL)) as scene:
        clients = [asyncio.create_task(ask(scene, call)) for _ in range(4)]
        await scene.provider.arrival(4)
        held = await scene.held()
    await asyncio.gather(*clients, return_exceptions=True)
    async with opened(tmp_path, Script()) as scene:
        usage = await scene.usage()
        assert (usage.tokens_held, 0 < usage.tokens_used < held) == (0, True)
        assert {share.label for share in await scene.shares("source")} == {Source.PARTIAL}


@pytest.mark.parametrize("call", ["chat", "messages-stream"])
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STALL])
async def test_a_provider_that_is_given_up_for_its_silence_may_bill_and_is_charged(open_scene, call, fault):
    """It was not it that failed: it may have generated until we left, as where a client leaves."""
    scene = await open_scene(Script(fault=fault))
    scene.app._gateway._gateway._upstream.idle_timeout_ms = 50
    seen = await ask(scene, call)
    if seen.status != 200:
        assert (seen.status, b"said nothing for 0.05 seconds, and was left" in seen.body) == (502, True)
    assert await scene.settled() > 0
    assert {share.label for share in await scene.shares("source")} == {Source.PARTIAL}


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_client_that_asks_for_more_meanwhile_is_still_seen_to_leave(open_scene, call, times):
    scene = await open_scene(Script(fault=Fault.HANG))
    path, body = CALLS[call]
    _, writer = await connect(scene)
    writer.write(asked(scene, "POST", path, headers_of(path, scene.key), json.dumps(body).encode()))
    await scene.provider.arrival()
    for _ in range(times):
        writer.write(asked(scene, "GET", "/healthz", {}))
        await asyncio.sleep(0)
    writer.close()
    async with asyncio.timeout(CLOSED_WITHIN_S):
        await scene.provider.requests[0].closed.wait()
    assert await scene.settled() > 0


async def test_a_call_whose_time_is_over_while_its_broken_end_is_written_is_told_so(open_scene, monkeypatch):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), call_max_s=1, hold_ttl_s=3_600)
    ledger_type = type(scene.house.services.ledger)
    settle, is_over = ledger_type.settle, asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        await is_over.wait()
        return await settle(*arguments)

    monkeypatch.setattr(ledger_type, "settles_soon", False)
    monkeypatch.setattr(ledger_type, "settle", slow)
    seen = await ask(scene, "chat")
    is_over.set()
    assert (seen.status, b"took longer than 1 seconds" in seen.body) == (502, True)
    assert await scene.settled() > 0


@pytest.mark.parametrize("call", ["chat-stream", "messages"])
async def test_a_client_that_closes_its_half_has_left(open_scene, call):
    """docs/internals/decisions/half-closed.md"""
    scene = await open_scene(Script(fault=Fault.HANG))
    path, body = CALLS[call]
    content, address = json.dumps(body).encode(), urlsplit(scene.url)
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {scene.key}\r\n"
    head += f"content-length: {len(content)}\r\n\r\n"
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode() + content)
    while not scene.provider.requests:
        await asyncio.sleep(0)
    writer.write_eof()
    await scene.provider.requests[0].closed.wait()
    assert await reader.read() == b""
    assert await scene.settled() > 0
    writer.close()
