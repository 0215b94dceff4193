"""R2 through the gateway: many clients of a company whose budget fits one in a hundred of their calls."""

import asyncio
from typing import Any

import openai

from tests.gateway.conftest import Scene
from tests.provider import Script

CLIENTS, TRIES = 64, 20
INPUT, OUTPUT = 200, 800
LIMIT = CLIENTS * TRIES * (INPUT + OUTPUT) // 100
SAID: Any = [{"role": "user", "content": "word " * INPUT}]


async def assistant(scene: Scene, is_stream: bool) -> None:
    """Asks until its tries are over, whatever it is told."""
    async with openai.AsyncOpenAI(base_url=f"{scene.url}/openai/v1", api_key=scene.key, max_retries=0) as client:
        for _ in range(TRIES):
            try:
                reply: Any = await client.chat.completions.create(
                    model="m", messages=SAID, max_completion_tokens=OUTPUT, stream=is_stream
                )
                if is_stream:
                    async for _chunk in reply:
                        pass
            except openai.RateLimitError:
                pass


async def test_no_token_over_at_any_instant_and_nine_tenths_of_the_budget_used(open_scene, capsys):
    scene = await open_scene(Script(input_tokens=INPUT, output_tokens=OUTPUT), limit=LIMIT)
    most = 0
    calls = [assistant(scene, number % 2 == 0) for number in range(CLIENTS)]
    working = asyncio.gather(*calls)
    while not working.done():
        usage = await scene.usage()
        most = max(most, usage.tokens_used + usage.tokens_held)
        await asyncio.sleep(0)
    await working
    used = await scene.settled()
    with capsys.disabled():
        print(
            f"\nR2: {max(0, most - LIMIT)} tokens over of {LIMIT}; utilisation {used / LIMIT:.1%}; "
            f"{len(scene.provider.requests)} of {CLIENTS * TRIES} calls went out"
        )
    assert most <= LIMIT
    assert used >= 0.9 * LIMIT
