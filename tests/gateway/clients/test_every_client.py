"""What every official client is promised, each sentence with each: Python's that wait and that do not, and npm's."""

import asyncio
from typing import Any

import pytest

from tests.gateway.clients.apis import Come
from tests.gateway.clients.sdks import RETRYING, TIMED_OUT, Call
from tests.provider import Fault, Provider, Script
from tests.provider.answer import ARGUMENTS

ANSWER = Script().text * Script().chunks
TOKENS = 21
SOON = (("retry-after-ms", "1"),)
"""A provider's wish that its client come back at once."""

# The client's own fault: it derives from a class of aiohttp's that is not meant for it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

both_ways = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "stream"])


def at(scene: Any, sdk: Any, **how: Any) -> Call:
    return Call(scene.url + sdk.api.prefix, scene.key, **how)


@both_ways
async def test_it_is_answered_and_counted(scene, sdk, is_stream):
    assert await sdk.make(at(scene, sdk, is_stream=is_stream)) == Come(ANSWER)
    assert await scene.used() == TOKENS


@both_ways
async def test_a_tool_is_called_with_its_arguments(open_scene, sdk, is_stream):
    scene = await open_scene(Script(tool="weather"))
    come = await sdk.make(at(scene, sdk, is_stream=is_stream, with_tool=True))
    assert come == Come("", ("weather", ARGUMENTS))
    assert scene.provider.requests[0].json["tools"]
    assert await scene.used() == TOKENS


async def without_us(sdk: Any, script: Script, is_stream: bool) -> tuple[Come, int]:
    """What the client makes of the provider when it asks it itself, and how often it asks."""
    async with Provider(script) as provider:
        come = await sdk.make(Call(provider.url + sdk.api.own_prefix, "sk", is_stream=is_stream))
        return come, len(provider.requests)


@pytest.mark.parametrize(("status", "is_stream"), [(400, False), (429, False), (429, True), (500, False), (529, False)])
async def test_an_error_of_the_providers_is_raised_and_retried_as_without_us(open_scene, sdk, status, is_stream):
    script = Script(status=status, headers=SOON)
    expected, requests = await without_us(sdk, script, is_stream)
    scene = await open_scene(script)
    come = await sdk.make(at(scene, sdk, is_stream=is_stream))
    assert come == expected
    assert come.raised is not None
    assert come.raised.status == status
    assert len(scene.provider.requests) == requests == (3 if sdk.retries and status != 400 else 1)
    assert await scene.settled() == 0


async def test_an_error_inside_a_stream_is_raised_as_without_us(open_scene, sdk):
    script = Script(fault=Fault.ERROR_INSIDE)
    expected, requests = await without_us(sdk, script, is_stream=True)
    scene = await open_scene(script)
    assert await sdk.make(at(scene, sdk, is_stream=True)) == expected
    assert (len(scene.provider.requests), requests) == (1, 1)
    assert await scene.settled() > 0


@both_ways
async def test_an_exhausted_budget_is_their_rate_limit_error_after_one_request(open_scene, sdk, asked, is_stream):
    scene = await open_scene(limit=10)
    raised = (await sdk.make(at(scene, sdk, is_stream=is_stream))).raised
    assert raised.name in {"RateLimitError", "EnforcedSpendLimitReachedError", "ClientError"}
    assert (raised.status, "budget does not hold this call" in raised.message) == (429, True)
    assert (len(asked), len(scene.provider.requests), await scene.settled()) == (1, 0, 0)


@both_ways
async def test_who_leaves_ends_the_call_to_the_provider_within_a_second(open_scene, sdk, is_stream):
    scene = await open_scene(Script(fault=Fault.ENDLESS if is_stream else Fault.HANG))
    come = await sdk.make(at(scene, sdk, is_stream=is_stream, leaves=True, may_leave=scene.provider.arrival))
    assert come.raised is None or come.raised.name in TIMED_OUT
    async with asyncio.timeout(1):
        await scene.provider.requests[0].closed.wait()
    assert len(scene.provider.requests) == 1
    assert await scene.settled() > 0


REFUSED = Script(status=500, headers=SOON)
NEVER_BEGUN = Script(fault=Fault.DROP_BEFORE_HEAD)
BROKEN_OFF = Script(fault=Fault.DROP_AFTER_BYTES, after_bytes=200)

retrying = pytest.mark.parametrize("sdk", RETRYING, indirect=True)


@retrying
@pytest.mark.parametrize("lost", [REFUSED, NEVER_BEGUN, BROKEN_OFF], ids=["refused", "never begun", "broken off"])
async def test_a_retry_is_charged_once(open_scene, sdk, asked, lost):
    scene = await open_scene(lost, Script())
    assert await sdk.make(at(scene, sdk)) == Come(ANSWER)
    assert asked == [b"0", b"1"]
    assert await scene.comes_to(TOKENS)


@retrying
async def test_a_retry_after_its_own_patience_is_charged_once(open_scene, sdk, asked):
    scene = await open_scene(Script(fault=Fault.HANG), Script())
    assert await sdk.make(at(scene, sdk, patience_s=1.0)) == Come(ANSWER)
    assert asked == [b"0", b"1"]
    assert await scene.comes_to(TOKENS)
