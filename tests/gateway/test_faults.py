"""R8: whatever a provider does, the hold ends, the charge is the documented one, and the client is told the truth."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from kvot.core.errors import StoreUnavailable
from kvot.core.model import Source
from tests.gateway.calls import CALLS, Seen, ask, is_stream, post, text_of
from tests.gateway.conftest import Scene, opened
from tests.provider import Fault, Script

pytestmark = pytest.mark.asyncio(loop_scope="module")

HARMLESS = {
    Fault.NONE,
    Fault.CR,
    Fault.CRLF,
    Fault.SPLIT_UTF8,
    Fault.BYTE_BY_BYTE,
    Fault.USAGE_CONTRADICTORY,
    Fault.UNTIL_CLOSE,
    Fault.INTERIM,
    Fault.GZIP,
    Fault.DEFLATE,
}
NO_REPLY = {Fault.DROP_BEFORE_HEAD, Fault.REDIRECT, Fault.MANY_HEADERS, Fault.HUGE_HEADER}
NEVER_ENDING = {Fault.HANG, Fault.STALL, Fault.NO_END, Fault.ENDLESS}
WHOLE_WITHOUT_USAGE = {Fault.USAGE_MISSING, Fault.USAGE_NEGATIVE, Fault.USAGE_HUGE}
BROKEN = {
    Fault.DROP_AFTER_BYTES,
    Fault.RESET,
    Fault.DROP_BEFORE_USAGE,
    Fault.LENGTH_LONG,
    Fault.BROKEN_FRAMES,
    Fault.BOMB,
}
UNREADABLE = {Fault.MALFORMED, Fault.LENGTH_SHORT, Fault.ERROR_INSIDE}

TOKENS = 21
INPUT_LEAST, OUTPUT_LEAST = 9, 20  # the provider's figure; the three texts, at two bytes a token
HELD_MOST = (
    216  # a token for each of at most 84 bytes of text and what stands around it, what is added, and 100 of output
)
CLOSED_WITHIN_S = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory):
    async with opened(tmp_path_factory.mktemp("faults")) as scene:
        yield scene


async def test_every_fault_is_tried():
    whole = HARMLESS | WHOLE_WITHOUT_USAGE | UNREADABLE | {Fault.ERROR_ALONE}
    assert set(Fault) == whole | NO_REPLY | NEVER_ENDING | BROKEN


async def charged(scene: Scene, call: str, script: Script) -> tuple[Seen, int]:
    """What the client saw, and what the ledger took for it when no hold was open any more."""
    before = await scene.settled()
    scene.provider.script = script
    seen = await ask(scene, call)
    return seen, await scene.settled() - before


def is_unreadable(fault: Fault, call: str) -> bool:
    """Lines of JSON end with a line feed; a carriage return alone is white space in it."""
    return fault is Fault.CR and call.startswith("ollama") and is_stream(call)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", HARMLESS)
async def test_a_reply_is_passed_as_it_is_and_charged_at_its_figures(scene, fault, call):
    seen, tokens = await charged(scene, call, Script(fault=fault))
    assert (seen.status, seen.is_whole) == (200, True)
    assert seen.body == text_of(call, scene.provider.requests[-1])
    assert tokens == TOKENS if not is_unreadable(fault, call) else TOKENS < tokens <= HELD_MOST


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", NO_REPLY)
async def test_who_gives_no_reply_is_paid_nothing(scene, fault, call):
    seen, tokens = await charged(scene, call, Script(fault=fault))
    assert (seen.status, seen.is_whole, tokens) == (502, True, 0)
    assert b"127.0.0.1" not in seen.body
    assert b"/elsewhere" not in [each.path.encode() for each in scene.provider.requests]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", WHOLE_WITHOUT_USAGE)
async def test_without_figures_that_can_be_true_what_passed_is_estimated(scene, fault, call):
    seen, tokens = await charged(scene, call, Script(fault=fault))
    assert (seen.status, seen.is_whole) == (200, True)
    assert seen.body == text_of(call, scene.provider.requests[-1])
    assert INPUT_LEAST + OUTPUT_LEAST <= tokens <= HELD_MOST


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_reply_that_breaks_off_is_charged_for_what_came(scene, fault, call):
    seen, tokens = await charged(scene, call, Script(fault=fault, after_bytes=200))
    has_none = fault is Fault.BROKEN_FRAMES and not is_stream(call)  # its first frame is broken
    assert tokens == 0 if has_none else 0 < tokens <= HELD_MOST
    if fault is Fault.BOMB:
        assert not seen.is_whole
    elif is_stream(call):
        assert (seen.status, seen.is_whole) == (200, False)
        assert text_of(call, scene.provider.requests[-1]).startswith(seen.body)
    else:
        assert (seen.status, seen.is_whole) == (502, True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", UNREADABLE)
async def test_what_cannot_be_read_passes_and_is_never_charged_nothing_for_an_answer(scene, fault, call):
    seen, tokens = await charged(scene, call, Script(fault=fault))
    sent = text_of(call, scene.provider.requests[-1])
    assert seen.body == (sent[:-5] if fault is Fault.LENGTH_SHORT else sent)
    is_error_alone = fault is Fault.ERROR_INSIDE and not is_stream(call)
    assert tokens == 0 if is_error_alone else 0 < tokens <= HELD_MOST


@pytest.mark.parametrize("call", CALLS)
async def test_an_error_that_comes_with_200_and_alone_passes_and_costs_nothing(scene, call):
    seen, tokens = await charged(scene, call, Script(fault=Fault.ERROR_ALONE))
    assert (seen.status, seen.body, tokens) == (200, scene.provider.requests[-1].reply, 0)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 402, 429, 500, 529])
async def test_a_providers_refusal_passes_and_costs_nothing(scene, status, call):
    seen, tokens = await charged(scene, call, Script(status=status))
    assert (seen.status, tokens, b"The mock was told" in seen.body) == (status, 0, True)


# -- the client leaves -----------------------------------------------------------------------------------------------


async def left(scene: Scene, call: str, script: Script, when: Any) -> int:
    """The tokens charged to a client that left once `when` (of what it saw) was so; None: once the provider was asked.

    Fails when the provider's connection is not closed in time.
    """
    before = await scene.settled()
    count = len(scene.provider.requests) + 1
    scene.provider.script = script
    seen = Seen()
    path, body = CALLS[call]
    client = asyncio.create_task(post(scene, path, body, seen=seen))
    received = await scene.provider.arrival(count)
    while when is not None and not when(seen, received):
        await asyncio.sleep(0)
    client.cancel()
    async with asyncio.timeout(CLOSED_WITHIN_S):
        await received.closed.wait()
    return await scene.settled() - before


@pytest.fixture
def clock(monkeypatch):
    """Seconds that calls read, and that only the test moves on."""
    clock = SimpleNamespace(s=1_000.0)
    monkeypatch.setattr("kvot.gateway.asking.perf_counter", lambda: clock.s)
    return clock


def after(clock, seconds):
    """A client's patience."""

    def has_waited(*_):
        clock.s += seconds
        return True

    return has_waited


INPUT_LEFT = range(20, 31)  # of the three texts, at two bytes a token


@pytest.mark.parametrize(("seconds", "output"), [(0.0, 0), (0.4, 40), (3_600.0, 100)])
@pytest.mark.parametrize("call", CALLS)
async def test_a_client_that_leaves_before_the_head_is_charged_its_input_and_for_the_time(
    scene, clock, call, seconds, output
):
    tokens = await left(scene, call, Script(fault=Fault.HANG), after(clock, seconds))
    assert tokens - output in INPUT_LEFT
    assert {share.label for share in await scene.shares("source")} >= {Source.PARTIAL}


async def test_an_embedding_that_is_left_has_no_output_however_long_it_took(scene, clock):
    before = await scene.settled()
    scene.provider.script = Script(fault=Fault.HANG)
    count = len(scene.provider.requests) + 1
    client = asyncio.create_task(post(scene, "/openai/v1/embeddings", {"model": "m", "input": "a" * 400}))
    received = await scene.provider.arrival(count)
    clock.s += 60.0
    client.cancel()
    await received.closed.wait()
    assert await scene.settled() - before == 200


@pytest.mark.parametrize("call", ["chat", "messages-stream"])
async def test_the_speed_of_calls_that_were_answered_counts_for_those_that_are_left(tmp_path, clock, call):
    pace = asyncio.Semaphore(0)
    async with opened(tmp_path, Script(output_tokens=80, pace=pace)) as scene:
        answered = asyncio.create_task(ask(scene, call))
        await scene.provider.arrival()
        clock.s += 4.0
        for _ in range(100):
            pace.release()
        assert (await answered).is_whole
        tokens = await left(scene, call, Script(fault=Fault.HANG), after(clock, 3.0))
        assert tokens - 60 in range(9, 31)  # what was learned of bytes counts too


async def test_streams_without_figures_teach_a_speed_by_their_text(tmp_path, clock):
    """As those of a server that reads a long prompt for long, and knows no `stream_options`."""
    pace = asyncio.Semaphore(0)
    text = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 70)
    async with opened(tmp_path, Script(recorded=(text, text, b"data: [DONE]\n\n"), pace=pace)) as scene:
        seen = Seen()
        path, body = CALLS["chat-stream"]
        answered = asyncio.create_task(post(scene, path, body, seen=seen))
        await scene.provider.arrival()
        clock.s += 2.0
        pace.release()
        while seen.body != text:
            await asyncio.sleep(0)
        clock.s += 3.5
        for _ in range(9):
            pace.release()
        await answered
        assert await scene.settled() - 70 in INPUT_LEFT, "by its text: two seconds before it are 40 tokens"
        tokens = await left(scene, "chat-stream", Script(fault=Fault.HANG), after(clock, 3.0))
        assert tokens - 60 in INPUT_LEFT


@pytest.mark.parametrize("call", ["chat", "messages-stream"])
async def test_a_client_that_leaves_while_a_refusal_comes_is_charged_nothing(tmp_path, monkeypatch, call):
    has_head = asyncio.Event()

    async def never_whole(*_: Any) -> bytes:
        has_head.set()
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr("kvot.gateway.asking.first_bytes", never_whole)
    async with opened(tmp_path, Script(status=500)) as scene:
        client = asyncio.create_task(ask(scene, call))
        await has_head.wait()
        assert await scene.held() > 0
        client.cancel()
        assert await scene.settled() == 0


async def test_a_client_that_leaves_before_its_request_went_out_is_charged_nothing(tmp_path):
    has_come = asyncio.Event()

    async def says_nothing(reader, writer):
        has_come.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(says_nothing, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"  # a handshake that never ends
        async with opened(tmp_path, openai_base_url=url) as scene:
            client = asyncio.create_task(ask(scene, "chat"))
            await has_come.wait()
            assert await scene.held() > 0
            client.cancel()
            assert await scene.settled() == 0


@pytest.mark.parametrize("call", ["chat", "chat-stream"])
async def test_a_leaving_is_noticed_too_where_the_server_tells_only_who_asks(scene, monkeypatch, call):
    monkeypatch.setattr("kvot.http.protocol._tell_when_gone", lambda *_: None)
    monkeypatch.setattr("kvot.http.protocol.write_chunk", lambda *_: False)
    assert 20 <= await left(scene, call, Script(fault=Fault.HANG), None) <= HELD_MOST


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.ENDLESS])
@pytest.mark.parametrize("call", CALLS)
async def test_a_client_that_leaves_on_the_way_is_charged_what_passed(scene, call, fault):
    def has_some(seen, received):
        return seen.body if is_stream(call) else received.sent_bytes

    tokens = await left(scene, call, Script(fault=fault), has_some)
    assert 0 < tokens <= HELD_MOST


@pytest.mark.parametrize("call", [call for call in CALLS if is_stream(call)])
async def test_a_client_that_leaves_between_the_usage_and_the_end_is_charged_its_figures(scene, call):
    pace = asyncio.Semaphore(0)
    script = Script(pace=pace)
    held_back: list[bytes] = []

    def has_all_but_the_end(seen, received):
        if not held_back:
            held_back.extend(scene.provider.plan(received, script).pieces)
            for _ in held_back[:-1]:
                pace.release()
        return seen.body == text_of(call, received)

    assert await left(scene, call, script, has_all_but_the_end) == TOKENS


# -- the hold cannot be kept -----------------------------------------------------------------------------------------

TTL_S = 3


async def test_a_call_whose_hold_cannot_be_renewed_is_cut_before_it_runs_out(tmp_path, monkeypatch):
    async with opened(tmp_path, Script(fault=Fault.STALL), hold_ttl_s=TTL_S) as scene:
        errors = iter([StoreUnavailable("no"), RuntimeError("worse")] * 100)

        async def fails(*_: Any) -> Any:
            raise next(errors)

        monkeypatch.setattr(type(scene.house.services.ledger), "renew", fails)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        plain, stream = await asyncio.gather(ask(scene, "chat"), ask(scene, "messages-stream"))
        assert TTL_S / 3 < loop.time() - started_s < TTL_S
        assert (plain.status, plain.is_whole, stream.status, stream.is_whole) == (503, True, 200, False)
        assert 0 < await scene.settled() <= 2 * HELD_MOST
        sources = {share.label for share in await scene.shares("source")}
        assert sources == {Source.PARTIAL}


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.HANG])
async def test_a_call_that_takes_longer_than_any_may_is_cut_although_its_hold_could_be_kept(tmp_path, fault):
    async with opened(tmp_path, Script(fault=fault), hold_ttl_s=TTL_S, call_max_s=TTL_S - 1) as scene:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        plain, stream = await asyncio.gather(ask(scene, "chat"), ask(scene, "messages-stream"))
        assert TTL_S - 1 <= loop.time() - started_s < TTL_S
        assert (plain.status, b"took longer than 2 seconds" in plain.body) == (502, True)
        assert plain.headers["x-should-retry"] == "false"
        assert (stream.is_whole, stream.status) == ((False, 200) if fault is Fault.STALL else (True, 502))
        assert [received.closed.is_set() for received in scene.provider.requests] == [True, True]
        assert 2 * 20 < await scene.settled() <= 2 * HELD_MOST


async def test_a_call_may_be_cut_before_its_hold_is_renewed_at_all(tmp_path):
    async with opened(tmp_path, Script(fault=Fault.STALL), hold_ttl_s=3_600, call_max_s=1) as scene:
        assert not (await ask(scene, "chat-stream")).is_whole
        assert await scene.settled() > 0


async def test_a_hold_is_renewed_at_a_third_of_its_time_for_as_long_as_its_call_runs(tmp_path, monkeypatch):
    async with opened(tmp_path, Script(fault=Fault.HANG), hold_ttl_s=TTL_S) as scene:
        ledger_type, renewed_at_s, loop = type(scene.house.services.ledger), [], asyncio.get_running_loop()
        renew, enough = ledger_type.renew, asyncio.Event()

        async def noted(*arguments: Any) -> Any:
            renewed_at_s.append(loop.time() - started_s)
            if len(renewed_at_s) > 3:
                enough.set()
            return await renew(*arguments)

        monkeypatch.setattr(ledger_type, "renew", noted)
        started_s = loop.time()
        client = asyncio.create_task(ask(scene, "chat"))
        await enough.wait()
        assert all(number * TTL_S / 3 <= at_s for number, at_s in enumerate(renewed_at_s, 1))
        assert (await scene.held() > 0, client.done()) == (True, False)
        client.cancel()
