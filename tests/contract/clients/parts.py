"""The two sides of a call: a server as people start it, and a client's own process."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.support import start
from tests.http.auth import signing

KEY_COMPANY = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
"""The company that the API key speaks for. Every other company comes with a token."""

EXPIRES = 4_102_444_800
"""The year 2100: servers of these tests read the real clock."""


class Host:
    """A running server. `key` and `operator` are API keys: of a company, and of a superadmin."""

    def __init__(self, folder: Path, json_case: str) -> None:
        self._where = ("--database", folder / "kvot.db")
        self._environment = {
            "KVOT_JWT_SECRET": signing.SECRET,
            "KVOT_JSON_CASE": json_case,
            "KVOT_OWN_KEY_PROVIDERS": "openai",
        }
        self.key = self._make_key("--company", KEY_COMPANY)
        self.operator = self._make_key("--role", "superadmin")
        self.url = ""

    def _make_key(self, *arguments: str) -> str:
        out, _ = start("keys", "create", "--json", *arguments, *self._where).communicate(timeout=60)
        key: str = json.loads(out)["key"]
        return key

    @contextmanager
    def running(self) -> Iterator["Host"]:
        with start("serve", "--port", 0, *self._where, environment=self._environment) as process:
            try:
                assert process.stdout is not None
                self.url = process.stdout.readline().split()[-1]
                yield self
            finally:
                process.terminate()
                process.communicate(timeout=30)

    def classes(self, language: str) -> str:
        """What the tools of that language save."""
        with urllib.request.urlopen(f"{self.url}/types/{language}", timeout=10) as reply:
            text: str = reply.read().decode()
        return text

    @staticmethod
    def token(company_id: str, **claims: Any) -> str:
        """What the platform's own sign-in would hand out."""
        return signing.sign(signing.claims(company_id=company_id, iat=None, exp=EXPIRES, **claims)).decode()


class Caller:
    """A client's process. It is handed calls one after the other and answers each with what came of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, call: str, **given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **given}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def caller(*command: str, cwd: Path) -> Iterator[Caller]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=cwd, stdin=pipe, stdout=pipe, text=True, encoding="utf-8") as process:
        yield Caller(process)
