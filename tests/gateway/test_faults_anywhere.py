"""R8 at any place: whatever a provider does with whatever answer, wherever it breaks off or its client leaves.

test_faults.py has each fault once, with exact charges; here answers, figures and places are drawn. 100 of each property
in every run of the tests, 5,000 with `make deep`.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvot.core.model import Source
from tests.gateway.calls import CALLS, Seen, is_stream, post, text_of
from tests.gateway.conftest import Scene, opened
from tests.gateway.test_faults import CLOSED_WITHIN_S, HARMLESS, HELD_MOST, NEVER_ENDING, NO_REPLY, is_unreadable
from tests.provider import Fault, Script
from tests.provider.answer import Answer
from tests.provider.received import Received
from tests.provider.server import DIALECTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSES_WITHIN_S = 10.0
CEILING = 100  # of every call in CALLS
TEXTS = [
    "Hej då 😀 ",
    "x",
    '"usage":{"prompt_tokens":999,"completion_tokens":9}',
    "data: [DONE]\n\n",
    "\r\n\0é",
    "word " * 99,
]
SCRIPTS = st.builds(
    Script,
    input_tokens=st.integers(1, 50),
    output_tokens=st.integers(1, 2 * CEILING),
    chunks=st.integers(1, 6),
    text=st.sampled_from(TEXTS),
    tool=st.sampled_from([None, None, "weather"]),
    status=st.sampled_from([200] * 12 + [400, 402, 429, 500, 529]),
    fault=st.sampled_from([each for each in Fault if each not in NEVER_ENDING]),
    after_bytes=st.integers(0, 400) | st.integers(0, 4_000),
)
anything = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Told(NamedTuple):
    """What a provider would say to a call if nothing went wrong, and the tokens that it would bill."""

    answer: Answer
    tokens: int

    @property
    def exactly(self) -> range:
        return range(self.tokens, self.tokens + 1)

    def bytes_until(self, pieces: int) -> int:
        return sum(map(len, self.answer.pieces[:pieces]))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory):
    async with opened(tmp_path_factory.mktemp("faults"), limit=2**31 - 1) as scene:
        yield scene


async def begin(scene: Scene, call: str, script: Script) -> tuple[Received, Seen, "asyncio.Task[Seen]"]:
    scene.provider.script = script
    scene.provider.requests.clear()
    seen = Seen()
    client = asyncio.create_task(post(scene, *CALLS[call], seen=seen))
    return await scene.provider.arrival(), seen, client


async def by_source(scene: Scene) -> Counter[str]:
    """The tokens that were charged so far, and on whose word, once no hold is open any more."""
    await scene.settled()
    return Counter({str(share.label): share.tokens for share in await scene.shares("source")})


def told(received: Received, script: Script) -> Told:
    asked = received.path, received.query, received.json, script
    answer = next(found for knows, _ in DIALECTS if (found := knows(*asked)))
    return Told(answer, script.input_tokens + min(script.output_tokens, CEILING))


CUT = {Fault.DROP_AFTER_BYTES, Fault.DROP_BEFORE_USAGE, Fault.BROKEN_FRAMES}


def may_charge(call: str, script: Script, said: Told, sent: Received) -> range:
    """What a call may be charged for what its provider did."""
    fault, pieces = script.fault, len(said.answer.pieces)
    nothing, exactly = range(1), said.exactly
    estimated = range(1, max(HELD_MOST, said.tokens) + 1)
    if fault in NO_REPLY or fault is Fault.ERROR_ALONE or script.status >= 400:
        return nothing
    if fault in HARMLESS and not is_unreadable(fault, call):
        return exactly
    if fault is Fault.RESET:
        return range(estimated.stop)  # what was under way may be lost, all of it
    if fault is Fault.ERROR_INSIDE:
        has_text = len(sent.reply) > said.bytes_until(said.answer.content_at + 1)
        return range(int(has_text), estimated.stop) if is_stream(call) else nothing
    if fault not in CUT:
        return estimated
    came = said.bytes_until(pieces // 2) if fault is Fault.BROKEN_FRAMES else len(sent.reply)
    told_by = said.bytes_until(said.answer.usage_at + 1 if is_stream(call) else pieces)
    return nothing if not came else exactly if came >= told_by else estimated


@anything
@given(call=st.sampled_from([*CALLS]), script=SCRIPTS)
async def test_whatever_a_provider_does_the_hold_ends_and_the_charge_is_the_documented_one(scene, call, script):
    before = await by_source(scene)
    received, seen, client = await begin(scene, call, script)
    await client
    charged, said = await by_source(scene) - before, told(received, script)
    allowed = may_charge(call, script, said, received)
    assert charged.total() in allowed
    assert set(charged) == {Source.REPORTED} if allowed == said.exactly else len(charged) <= 1
    assert seen.status is not None
    assert seen.status < 600
    if seen.status == 200 and script.fault is not Fault.BOMB:
        passes = text_of(call, received)
        assert seen.body == passes[: len(seen.body)]
        assert seen.body == passes or not seen.is_whole or script.fault is Fault.LENGTH_SHORT


@anything
@given(call=st.sampled_from([*CALLS]), script=SCRIPTS, data=st.data())
async def test_wherever_a_client_leaves_its_provider_is_left_and_what_passed_is_paid(scene, call, script, data):
    pace = asyncio.Semaphore(0)
    script = replace(script, pace=pace, status=200, fault=Fault.NONE)
    before = await by_source(scene)
    received, seen, client = await begin(scene, call, script)
    said = told(received, script)
    most = len(said.answer.pieces) - 1
    count = data.draw(st.just(most) | st.integers(0, most))
    for _ in range(count):
        pace.release()
    passed = Received(b"", b"", 0)
    passed.reply = b"".join(said.answer.pieces[:count])
    async with asyncio.timeout(PASSES_WITHIN_S):
        while seen.body != text_of(call, passed):
            await asyncio.sleep(0)
    client.cancel()
    async with asyncio.timeout(CLOSED_WITHIN_S):
        await received.closed.wait()
    charged = await by_source(scene) - before
    if count > said.answer.usage_at:
        assert charged == {Source.REPORTED: said.tokens}
    else:
        assert 0 < charged.total() <= HELD_MOST
