"""Kvot as it is run: `kvot serve` in processes of its own, on PostgreSQL with several workers.

The wall clock of its workers can be planted.
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from uuid import uuid4

from kvot.core.budget import Budget, Rules
from kvot.stores.postgres import PostgresStore
from tests.cli.support import SRC, start

WORKERS = 4
SECRET = "of the trials alone, and of no other database"
START_TIMEOUT_S = 60

_PLANTED_CLOCK = """
from pathlib import Path
from kvot import bootstrap
leap, wall_ms = Path(__file__).with_name("leap"), bootstrap.wall_ms
bootstrap.wall_ms = lambda: wall_ms() + int(leap.read_text())
"""


class Fleet:
    """Started with `begin`. `key` speaks for any company; `url` is the database's own, by whichever way Kvot goes."""

    key: str
    address: str

    def __init__(self, url: str, way: str, workers: int, environment: Mapping[str, str]) -> None:
        self.url = url
        self._way = way
        self._workers = workers
        self._folder = Path(tempfile.mkdtemp(prefix="kvot-fleet-"))
        self._log = self._folder / "log"
        self._environment = {"KVOT_SECRET": SECRET, **environment}
        self._port = 0

    @classmethod
    def begin(
        cls,
        url: str,
        *,
        way: str | None = None,
        workers: int = WORKERS,
        plants_clock: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Migrate the database, make a key and serve, as people do.

        `way`: the URL of a pooler before the database. With `plants_clock` the workers' wall clock can be set.
        """
        fleet = cls(url, way or url, workers, environment or {})
        if plants_clock:
            fleet._plant_clock()
        fleet.run("migrate")
        fleet.key = fleet.make_key("--role", "superadmin")["key"]
        fleet.serve()
        return fleet

    def serve(self) -> None:
        """The second time at the address of the first."""
        command = ("serve", "--port", self._port, "--workers", self._workers, "--database", self._way, "--json")
        # A pipe that nobody reads would soon be full, and the server stand still.
        with self._log.open("a") as log:
            self._process = start(*command, stderr=log, environment=self._environment)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server did not start: {self.log()}"
        self.address = json.loads(line)["url"]
        self._port = int(self.address.rpartition(":")[2])

    def run(self, *arguments: object) -> str:
        """The output of a command on the database; it must succeed."""
        process = start(*arguments, "--database", self._way, environment=self._environment)
        out, err = process.communicate(timeout=START_TIMEOUT_S)
        assert process.returncode == 0, err
        return out

    def make_key(self, *of: object) -> dict[str, str]:
        """Its secret as `key`, and its `id`."""
        told = json.loads(self.run("keys", "create", *of, "--json"))
        return {"key": told["key"], "id": told["result"]["id"]}

    async def companies(self, count: int, limit: int) -> list[str]:
        """New ones, with a budget."""
        store = PostgresStore.open(self.url, Rules())
        companies = [str(uuid4()) for _ in range(count)]
        for company in companies:
            await store.set_budget(company, Budget(limit, 30), actor="operator", reason=None, now_ms=now_ms())
        await store.close()
        return companies

    def leap(self, apart_ms: int) -> None:
        """Set the planted clock so far apart from the true time."""
        new = self._folder / "new"
        new.write_text(str(apart_ms))
        new.replace(self._folder / "leap")

    def workers(self) -> list[int]:
        """Their process ids."""
        command = ["ps", "-o", "pid=", "--ppid", str(self._process.pid)]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        return [int(pid) for pid in told.stdout.split()]

    def signal(self, number: int) -> int:
        """To the parent alone; its exit code, once its workers are gone as well."""
        self._process.send_signal(number)
        self._process.communicate(timeout=START_TIMEOUT_S)  # ends with the last who could write
        return self._process.returncode

    def end(self) -> str:
        """Stop; what the server has written to its log."""
        try:
            self.signal(signal.SIGTERM)
        finally:
            self._process.kill()
            self._process.communicate()
        log = self.log()
        shutil.rmtree(self._folder)
        return log

    def log(self) -> str:
        """What the server has written to it by now."""
        return self._log.read_text(errors="replace")

    def _plant_clock(self) -> None:
        (self._folder / "sitecustomize.py").write_text(_PLANTED_CLOCK)
        self._environment["PYTHONPATH"] = f"{self._folder}:{SRC}"
        self.leap(0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
