"""Kvot as it is run on PostgreSQL: `kvot serve` with four workers, in processes of its own, on a server of its own."""

import json
import subprocess
import tempfile
import time
from typing import IO, Any, Self
from uuid import uuid4

from kvot.core.budget import Budget, Rules
from kvot.stores.postgres import PostgresStore
from kvot.stores.postgres.address import Address
from tests.cli.support import start

WORKERS = 4
SECRET = "of the trials alone, and of no other database"
START_TIMEOUT_S = 60


class Fleet:
    """Started with `begin`. `key` speaks for any company."""

    def __init__(self, url: str, process: subprocess.Popen[str], address: str, key: str, log: IO[str]) -> None:
        self.url = url
        self.connections = WORKERS * Address.parse(url).connections_max
        self.address = address
        self.key = key
        self._process = process
        self._log = log

    @classmethod
    def begin(cls, url: str) -> Self:
        """Migrate the database, make a key and serve, as people do."""
        run("migrate", "--database", url)
        key = json.loads(run("keys", "create", "--role", "superadmin", "--database", url, "--json"))["key"]
        # A pipe that nobody reads would soon be full, and the server stand still. `end` closes it.
        log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        options: dict[str, Any] = {"stderr": log, "environment": {"KVOT_SECRET": SECRET}}
        process = start("serve", "--port", 0, "--workers", WORKERS, "--database", url, "--json", **options)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the server did not start"
        return cls(url, process, json.loads(line)["url"], key, log)

    async def companies(self, count: int, limit: int) -> list[str]:
        """New ones, with a budget."""
        store = PostgresStore.open(self.url, Rules())
        companies = [str(uuid4()) for _ in range(count)]
        for company in companies:
            await store.set_budget(company, Budget(limit, 30), actor="operator", reason=None, now_ms=now_ms())
        await store.close()
        return companies

    def end(self) -> str:
        """Stop; what the server has written to its log."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=START_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.communicate()
        with self._log as log:
            log.seek(0)
            return log.read()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def run(*arguments: object) -> str:
    """A command's output; it must succeed."""
    process = start(*arguments, environment={"KVOT_SECRET": SECRET})
    out, err = process.communicate(timeout=START_TIMEOUT_S)
    assert process.returncode == 0, err
    return out
