"""npm's official clients, in a process of their own that is handed one call after the other."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.metadata import tools


class Npm:
    """Calls are expressions of JavaScript, of `client`, `signal`, `collect(stream)`, `first(stream)` and
    `abortAfterFirst(stream)`."""

    def __init__(self, folder: Path) -> None:
        node, modules = tools.program("node"), tools.client_modules()
        if not (modules / "@anthropic-ai" / "sdk").exists():
            tools.missing("@anthropic-ai/sdk")
        shutil.copy(Path(__file__).parent / "call_npm.mjs", folder)
        (folder / "node_modules").symlink_to(modules)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([node, "call_npm.mjs"], cwd=folder, stdin=pipe, stdout=pipe, text=True)

    async def __call__(self, client: str, url: str, key: str, call: str, **options: Any) -> Any:
        """What it `returned` or `raised`; the `pieces` of a stream until then; the `requests` that were made, and of
        each the retry count that it said."""
        self._say({"client": client, "url": url, "key": key, "call": call, "options": options})
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        return json.loads(line)

    def abort(self) -> None:
        """The call under way."""
        self._say({"abort": True})

    def end(self) -> None:
        self._process.communicate()

    def _say(self, value: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()
