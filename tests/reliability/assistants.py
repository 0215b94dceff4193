"""Assistants that call a provider by way of Kvot until their tries are over, whatever they are told; half stream.

Bare clients of HTTP: hundreds of thousands of tries are to take minutes.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp

ASSISTANTS = 64
INPUT, OUTPUT = 60, 240
"""What the provider bills for a call, as long as the ceiling that reaches it allows so much."""

_ROOT = Path(__file__).parents[2]
_BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Say hello to everybody who reads this, please. " * 4}],
    "max_completion_tokens": OUTPUT,
}
_CALLS = [json.dumps(_BODY | {"stream": is_stream}).encode() for is_stream in (False, True)]


class MockProvider:
    """The mock provider in a process of its own."""

    def __init__(self) -> None:
        figures = f"--input-tokens={INPUT}", f"--output-tokens={OUTPUT}"
        command = [sys.executable, "-m", "tests.provider", *figures]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


class Assistants:
    """What they heard: `whole` counts the answers that ended as they should."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._key = key
        self.statuses: Counter[int] = Counter()
        self.whole = 0

    async def run(self, tries: int) -> None:
        connector = aiohttp.TCPConnector(limit=ASSISTANTS)
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        async with aiohttp.ClientSession(self._address, connector=connector, headers=headers) as self._session:
            await asyncio.gather(*(self._ask(number, tries // ASSISTANTS) for number in range(ASSISTANTS)))

    async def _ask(self, number: int, tries: int) -> None:
        is_stream = number % 2 == 1
        for _ in range(tries):
            async with self._session.post("/openai/v1/chat/completions", data=_CALLS[is_stream]) as reply:
                body = await reply.read()
            self.statuses[reply.status] += 1
            self.whole += reply.status == 200 and (not is_stream or body.endswith(b"data: [DONE]\n\n"))
