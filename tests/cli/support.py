"""Commands run as people run them: in this process where that is enough, in one of their own where it is not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from kvot.cli import main

SRC = Path(__file__).parents[2] / "src"
ACME = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
OTHER = "00000000-0000-4000-8000-00000000000b"
NOW_MS = time.time_ns() // 1_000_000
"""Commands read the real clock, so that times in files are made from it, once."""


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)

    @property
    def last_line(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


class Kvot:
    """`kvot` in this process, on a database in a folder of its own."""

    def __init__(self, folder: Path, capfd: Any) -> None:
        self.folder = folder
        self.database = folder / "kvot.db"
        self._capfd = capfd

    def __call__(self, *arguments: object) -> Ran:
        return self.bare(*arguments, "--database", self.database)

    def bare(self, *arguments: object) -> Ran:
        """Without naming the database."""
        self._capfd.readouterr()
        code = main([str(each) for each in arguments])
        return Ran(code, *self._capfd.readouterr())

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


_KILLED_COPY = """
import asyncio, os, signal, sys
from kvot.core.archive import LedgerEnd
from kvot.core.budget import Rules
from kvot.stores import transfer
from kvot.stores.archives import open_sink, open_source, open_target

def kill(part):
    if isinstance(part, LedgerEnd):  # told after the commit
        os.kill(os.getpid(), signal.SIGKILL)

async def copy():
    source, sink = await open_source(sys.argv[1], Rules()), await open_sink(sys.argv[2], Rules())
    plan = await transfer.plan_copy(source, await open_target(sys.argv[2], Rules()), lambda part: None)
    await transfer.copy(source, sink, plan, kill)

asyncio.run(copy())
"""


def copy_until_killed(source: str, target: str) -> None:
    """A copy that is ended by kill -9 when its first company is in the target."""
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    ended = subprocess.run([sys.executable, "-c", _KILLED_COPY, source, target], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL


def said_of_unfinished(kvot: Kvot, database: object) -> list[tuple[int, bool]]:
    """Of a start of the server and of `doctor`: the exit code, and whether what to do next is told."""
    own = {name: value for name, value in os.environ.items() if name.startswith("KVOT_")}
    process = start("serve", "--port", 0, "--database", database, cwd=kvot.folder, environment=own)
    served, looked = process.communicate(timeout=60)[1], kvot.bare("doctor", "--database", database)
    told = "was not finished. Run the same copy again"
    return [(process.returncode, told in served), (looked.code, told in looked.out)]


def said_of_a_part(kvot: Kvot, database: object) -> list[tuple[int, bool, bool]]:
    """Of a copy and of a backup of it: the exit code, whether what to do next is told, and whether a file was made."""
    files = [kvot.folder / name for name in ("next.db", "part.gz")]
    copied = kvot.bare("copy", "--from", database, "--to", f"sqlite:///{files[0]}")
    backed_up = kvot.bare("backup", files[1], "--database", database)
    told = "was not finished. Run the same copy again"
    return [(ran.code, told in ran.err, file.exists()) for ran, file in zip((copied, backed_up), files, strict=True)]


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """`kvot` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KVOT_")}
    environment |= {"PYTHONPATH": str(SRC)} | options.pop("environment", {})
    command = [sys.executable, "-m", "kvot.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **(pipes | options))


_SIGNALLED = """
import signal, sys
import kvot.cli.backup as module
work, number = getattr(module, sys.argv[1]), int(sys.argv[2])

def signalled(*values):
    signal.raise_signal(number)
    return work(*values)

setattr(module, sys.argv[1], signalled)
from kvot.cli import main
sys.exit(main(sys.argv[3:]))
"""


def signalled(step: str, number: signal.Signals, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`kvot` that gets a signal as a step of `kvot.cli.backup` begins."""
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    command = [sys.executable, "-c", _SIGNALLED, step, str(int(number)), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
