"""Commands run as people run them: in this process where that is enough, in one of their own where it is not."""

import json
import os
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


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """`kvot` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KVOT_")}
    environment |= {"PYTHONPATH": str(SRC)} | options.pop("environment", {})
    command = [sys.executable, "-m", "kvot.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **(pipes | options))
