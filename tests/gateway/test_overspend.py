"""R2 through the gateway: many clients of a company whose budget fits one in a hundred of their calls."""

import asyncio
from typing import Any

import openai
import pytest

from kvot.gateway.vocabularies import open_vocabularies
from tests.gateway.conftest import Scene
from tests.provider import Script

CLIENTS, TRIES, MODEL = 64, 20, "gpt-4o"
INPUT, OUTPUT = 200, 800
LIMIT = CLIENTS * TRIES * (INPUT + OUTPUT) // 100
SAID = "word " * INPUT


async def assistant(scene: Scene, said: str, output: int, tries: int, is_stream: bool) -> None:
    """Asks until its tries are over, whatever it is told."""
    messages: Any = [{"role": "user", "content": said}]
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key, max_retries=0) as client:
        for _ in range(tries):
            try:
                reply: Any = await client.chat.completions.create(
                    model=MODEL, messages=messages, max_completion_tokens=output, stream=is_stream
                )
                if is_stream:
                    async for _chunk in reply:
                        pass
            except openai.RateLimitError:
                pass


async def most_and_used(scene: Scene, said: str, output: int, tries: int, limit: int) -> tuple[int, float]:
    """The most tokens that were ever used and held together, and the share of the limit that was used in the end."""
    most = 0
    calls = [assistant(scene, said, output, tries, number % 2 == 0) for number in range(CLIENTS)]
    working = asyncio.gather(*calls)
    while not working.done():
        usage = await scene.usage()
        most = max(most, usage.tokens_used + usage.tokens_held)
        await asyncio.sleep(0)
    await working
    return most, await scene.settled() / limit


async def test_no_token_over_at_any_instant_and_nine_tenths_of_the_budget_used(open_scene, capsys):
    scene = await open_scene(Script(input_tokens=INPUT, output_tokens=OUTPUT), limit=LIMIT)
    most, used = await most_and_used(scene, SAID, OUTPUT, TRIES, LIMIT)
    with capsys.disabled():
        print(
            f"\nR2: {max(0, most - LIMIT)} tokens over of {LIMIT}; utilisation {used:.1%}; "
            f"{len(scene.provider.requests)} of {CLIENTS * TRIES} calls went out"
        )
    assert most <= LIMIT
    assert used >= 0.9


LONG = "Each of these sentences, of which there are 150, says the same: the input of a call is long. " * 150
LONG_OUTPUT, LONG_TRIES = 200, 5


@pytest.mark.parametrize(("input_hold", "used_least"), [("bound", 0.2), ("exact", 0.9)])
async def test_calls_that_are_mostly_input_use_the_budget_where_it_is_counted(
    open_scene, capsys, input_hold: str, used_least: float
):
    """The provider bills what its recipe says: the text by the model's own vocabulary, 3 for the message, 1 for its
    role, 3 for the answer's beginning. By their bytes three of the calls fit at once; counted, all thirteen do."""
    billed = open_vocabularies()["o200k_base"](LONG) + 7
    limit = 13 * (billed + LONG_OUTPUT)
    script = Script(input_tokens=billed, output_tokens=LONG_OUTPUT)
    scene = await open_scene(script, limit=limit, input_hold=input_hold)
    most, used = await most_and_used(scene, LONG, LONG_OUTPUT, LONG_TRIES, limit)
    with capsys.disabled():
        print(f"\nR2, {input_hold}: {max(0, most - limit)} tokens over of {limit}; utilisation {used:.1%}")
    assert most <= limit
    assert used >= used_least
