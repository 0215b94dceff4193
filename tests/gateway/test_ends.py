"""The end of a call: its reply goes out first, and whatever is asked after that finds what it was charged."""

import asyncio
import json
from typing import Any

import pytest
import uvloop

from kvot.gateway.keeper import HoldKeeper
from kvot.http.exchange import Exchange
from kvot.http.limits import ClientGone
from kvot.http.protocol import ON_GONE
from tests.gateway.calls import CALLS, ask, connect, headers_of, text_of
from tests.gateway.conftest import Scene, opened
from tests.provider import Fault, Script

TOKENS = 21
"""What the mock's answer comes to, by its own figures."""


def asked(scene: Scene, verb: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    fields = {"host": "kvot", "content-length": str(len(body))} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{verb} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def outcomes(scene: Any) -> list[str]:
    return [outcome for (_, _, outcome), _ in scene.app._gateway.calls.items()]


async def used_behind(scene: Scene, call: str) -> int:
    """What a client is told that asks in one breath with its call. It cannot ask sooner."""
    path, body = CALLS[call]
    first = asked(scene, "POST", path, headers_of(path, scene.key), json.dumps(body).encode())
    own = {"authorization": f"Bearer {scene.key}", "connection": "close"}
    reader, writer = await connect(scene)
    writer.write(first + asked(scene, "GET", "/assistant/ai-chat/usage.json", own))
    replies = await reader.read()
    writer.close()
    used: int = json.loads(replies[replies.rindex(b"\r\n\r\n") :])["tokensUsed"]
    return used


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_is_asked_behind_a_call_in_one_breath_finds_its_tokens(new_loop, tmp_path):
    """Each loop writes, reads and takes up what waits in an order of its own; the server runs on uvloop's."""

    async def found() -> list[int]:
        async with opened(tmp_path, Script()) as scene:
            return [await used_behind(scene, call) for call in CALLS]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(found()) == [TOKENS * (calls + 1) for calls in range(len(CALLS))]


LAST_WORDS = {
    "chat-stream": b"data: [DONE]\n\n",
    "responses-stream": b"event: response.completed\n",
    "messages-stream": b"event: message_stop\n",
    "ollama-stream": b'"done":true',
    "ollama-text-stream": b'"done":true',
}
"""Gemini's have none: its clients read to the end of the reply."""


@pytest.mark.parametrize("call", LAST_WORDS)
@pytest.mark.parametrize("is_soon", [True, False], ids=["at once", "once it is durable"])
async def test_who_has_read_the_last_word_finds_the_tokens_although_the_reply_does_not_end(
    open_scene, monkeypatch, call, is_soon
):
    scene = await open_scene(Script(fault=Fault.NO_END))
    monkeypatch.setattr(type(scene.house.services.ledger), "settles_soon", is_soon)
    path, body = CALLS[call]
    reader, writer = await connect(scene)
    writer.write(asked(scene, "POST", path, headers_of(path, scene.key), json.dumps(body).encode()))
    await reader.readuntil(LAST_WORDS[call])
    usage = await scene.usage()
    assert (usage.tokens_used, usage.tokens_held) == (TOKENS, 0)
    writer.close()
    await scene.provider.requests[0].closed.wait()
    assert (await scene.used(), [share.label for share in await scene.shares("source")]) == (TOKENS, ["reported"])


@pytest.mark.parametrize("call", LAST_WORDS)
async def test_who_leaves_at_the_last_word_has_an_answer_that_nobodys_retry_takes_back(open_scene, call):
    first, again = ({"x-stainless-retry-count": f"{count}"} for count in range(2))
    refused = Script(status=429, headers=(("retry-after-ms", "1"),))
    scene = await open_scene(Script(fault=Fault.NO_END), refused, Script())
    path, body = CALLS[call]
    reader, writer = await connect(scene)
    same = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    writer.write(asked(scene, "POST", path, headers_of(path, scene.key) | first, same))
    await reader.readuntil(LAST_WORDS[call])
    writer.close()
    await scene.provider.requests[0].closed.wait()
    assert [(await ask(scene, call, each)).status for each in (first, again)] == [429, 200]
    await scene.app._gateway._gateway._books.settler.finish(within_s=10)
    assert await scene.settled() == 2 * TOKENS
    assert outcomes(scene)[0] == "passed"


async def test_what_breaks_off_behind_the_last_word_is_charged_once(open_scene):
    scene = await open_scene(Script(fault=Fault.NO_END), hold_ttl_s=3_600, call_max_s=1)
    seen = await ask(scene, "chat-stream")
    assert (seen.status, seen.is_whole, await scene.settled()) == (200, False, TOKENS)
    assert outcomes(scene) == ["provider_failed"]


BEHIND = {
    "chat-stream": b'data: {"error":{"message":"no"},"usage":{"prompt_tokens":-1}}\n\n',
    "responses-stream": b'data: {"type":"response.failed","response":{"error":{}}}\n\n',
    "messages-stream": b'data: {"type":"error"}\n\n',
    "ollama-stream": b'{"error":"no","done":true,"eval_count":-1}\n',
}


@pytest.mark.parametrize("call", BEHIND)
async def test_what_a_provider_says_behind_its_last_word_passes_and_changes_nothing(open_scene, call):
    scene = await open_scene()
    await ask(scene, call)
    answer = scene.provider.requests[-1].reply
    for pieces in [(answer, BEHIND[call]), (answer + BEHIND[call],)]:
        scene.provider.script = Script(recorded=pieces)
        seen = await ask(scene, call)
        assert (seen.status, seen.is_whole) == (200, True)
        assert seen.body == text_of(call, scene.provider.requests[-1])
        assert seen.body.endswith(BEHIND[call])
    assert await scene.settled() == 3 * TOKENS
    assert outcomes(scene) == ["passed"]


async def test_a_fault_in_the_charge_costs_no_client_its_reply_and_frees_no_token(scene, monkeypatch):
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(type(scene.house.services.ledger), "settle_soon", fails)
    unseen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    seen = await ask(scene, "chat")
    assert (seen.status, seen.is_whole, await scene.held() > 0) == (200, True, True)
    assert (unseen, outcomes(scene)) == ([], ["failed"])


async def test_nothing_cuts_a_call_whose_reply_is_out(open_scene, monkeypatch):
    """The longest that it may take is over in the turn of the event loop between its reply and its charge."""
    scene, loop = await open_scene(call_max_s=60, hold_ttl_s=600), asyncio.get_running_loop()
    keep, end = HoldKeeper.__init__, Exchange.end
    timers: list[asyncio.TimerHandle] = []

    def ring() -> None:
        if not timers[0].cancelled():
            timers[0]._run()

    def noted(keeper: HoldKeeper, *arguments: Any) -> None:
        keep(keeper, *arguments)
        timers.append(keeper._timer)

    async def ends_as_its_time_does(exchange: Exchange) -> None:
        await end(exchange)
        loop.call_soon(ring)

    monkeypatch.setattr(HoldKeeper, "__init__", noted)
    monkeypatch.setattr(Exchange, "end", ends_as_its_time_does)
    seen = await ask(scene, "chat")
    assert (seen.status, seen.is_whole, await scene.settled()) == (200, True, TOKENS)
    assert outcomes(scene) == ["passed"]


async def test_a_server_that_stops_at_once_cuts_no_call_whose_reply_is_out(scene, monkeypatch):
    end = Exchange.end

    async def ends_as_the_server_does(exchange: Exchange) -> None:
        await end(exchange)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    monkeypatch.setattr(Exchange, "end", ends_as_the_server_does)
    seen = await ask(scene, "chat")
    assert (seen.status, seen.is_whole, await scene.settled()) == (200, True, TOKENS)
    assert outcomes(scene) == ["passed"]


async def test_who_leaves_with_a_whole_reply_leaves_nothing(scene):
    leaves: list[Any] = []

    def on_gone(leave: Any) -> Any:
        leaves.append(leave)
        return lambda: None

    async def send(_: Any) -> None: ...

    async def receive() -> Any: ...

    scope: Any = {"path": "/openai/v1/models", "method": "GET", "query_string": b"", "headers": []}
    scope["extensions"] = {ON_GONE: on_gone}
    provider = scene.app._gateway.provider("/openai/v1/models")

    async def work(exchange: Exchange, *, is_whole: bool) -> None:
        if is_whole:
            await exchange.begin(200, ())
            await exchange.end()
        leaves[-1]()
        await asyncio.sleep(0)

    def exchange() -> Exchange:
        return Exchange(provider, scope, receive, send)

    whole, broken = exchange(), exchange()
    await whole.watch(work(whole, is_whole=True))
    with pytest.raises(ClientGone):
        await broken.watch(work(broken, is_whole=False))
