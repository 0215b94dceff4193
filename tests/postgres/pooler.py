"""A PgBouncer of our own before a private server, in transaction mode: a unix socket and a scratch folder.

Debian's program is found, never installed. It does not run as root, so then it runs as the user `postgres`.
"""

import os
import shutil
import subprocess
from typing import Self

from tests.postgres.server import PORT, START_TIMEOUT_S, PrivateServer, as_user, scratch_folder, wait_until

SERVER_CONNECTIONS = 8
"""To each database. Fewer than the clients of any trial have, so that they share them."""

_CONFIGURATION = """[databases]
* = host={server} port={port} user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 1000
server_login_retry = 1
{more}
"""


class Pooler:
    """Started with `make`."""

    def __init__(self, server: PrivateServer, more: str) -> None:
        self.folder = scratch_folder()
        self._server = server
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, server: PrivateServer, *, more: str = "") -> Self:
        """`more`: further lines of its configuration. Raises ConnectionError, saying what is missing."""
        program = find_pgbouncer()
        pooler = cls(server, more)
        try:
            pooler._start(program)
        except BaseException:
            pooler.remove()
            raise
        return pooler

    def before(self, url: str, *, options: str = "&pooler=transaction") -> str:
        """The URL of a database of the server, by way of this."""
        return url.replace(str(self._server.folder), str(self.folder)) + options

    def remove(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, program: str) -> None:
        file = self.folder / "pgbouncer.ini"
        text = _CONFIGURATION.format(
            server=self._server.folder,
            folder=self.folder,
            port=PORT,
            more=self._more,
            connections=SERVER_CONNECTIONS,
        )
        file.write_text(text)
        log_file = self.folder / "log"
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(as_user(program, str(file)), stdout=log, stderr=log, cwd=self.folder)

        def listens() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise ConnectionError(f"PgBouncer ended as it started: {log_file.read_text()[-2_000:]}")
            return (self.folder / f".s.PGSQL.{PORT}").exists()

        wait_until(listens, START_TIMEOUT_S)


def find_pgbouncer() -> str:
    """Raises ConnectionError, saying what is missing."""
    program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if program is None:
        raise ConnectionError("PgBouncer is not installed. On Debian: apt-get install pgbouncer")
    return program
