"""A PostgreSQL server of our own: a scratch data directory, a unix socket and nothing else; gone when it is stopped.

Debian's binaries are found, never installed. PostgreSQL does not run as root, so then it runs as the user `postgres`.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Self

PORT = 5432
"""Part of the socket's name; nothing listens on the network."""

START_TIMEOUT_S = 30
_USER = "postgres"
_QUICK = {"fsync": "off", "full_page_writes": "off"}


class PrivateServer:
    """`durable`: every commit is on the disk when it is answered. Tests of logic alone need not wait for that.

    log_folder: where its log of writes is, if not with the data.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        settings: dict[str, str] | None = None,
        log_folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self._log_folder = log_folder
        self._bin = find_binaries()
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "max_connections": "100",
            "shared_buffers": "128MB",
            **({} if durable else _QUICK),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(
        cls,
        *,
        durable: bool = True,
        settings: dict[str, str] | None = None,
        folder: Path | None = None,
        log_folder: Path | None = None,
    ) -> Self:
        """Make the data directory and start. Raises ConnectionError, saying what is missing."""
        folder = folder or scratch_folder()
        try:
            server = cls(folder, durable=durable, settings=settings, log_folder=log_folder)
            server._init()
            server.start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return server

    def standby(self) -> "PrivateServer":
        """Another server, which follows this one. Raises ConnectionError."""
        other = PrivateServer(scratch_folder(), settings=self._settings)
        other._settings["unix_socket_directories"] = str(other.folder)
        other.follow(self)
        return other

    def follow(self, primary: "PrivateServer") -> None:
        """Begin anew as a copy of another server, which waits for this one with every commit."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = ("-h", str(primary.folder), "-p", str(PORT), "-U", _USER)
        self._finish("pg_basebackup", *source, "-D", str(self.data), "-R", "--checkpoint=fast", "--no-sync")
        self.start()
        primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.run("SELECT pg_reload_conf()")
        query = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: primary.run(query) == "sync", START_TIMEOUT_S)

    def promote(self) -> None:
        """Of a standby whose primary is gone: take writes, and wait for nobody."""
        self._finish("pg_ctl", "-D", str(self.data), "-w", "promote")
        self.run("ALTER SYSTEM RESET synchronous_standby_names")
        self.run("SELECT pg_reload_conf()")

    def url(self, database: str, *, scheme: str = "postgresql", user: str = _USER, options: str = "") -> str:
        return f"{scheme}://{user}@/{database}?host={self.folder}&port={PORT}{options}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = [each for name, value in self._settings.items() for each in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", str(self.data), *options), stdout=log, stderr=log, cwd=self.folder
            )
        self._wait_until_ready()

    def stop(self, *, mode: str = "fast") -> None:
        """fast: as a restart does it. immediate: as a power cut does it."""
        if self._process is not None:
            subprocess.run(
                self._command("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop"),
                check=False,
                capture_output=True,
                cwd=self.folder,
            )
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def remove(self) -> None:
        self.stop(mode="immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, sql: str, database: str = "postgres") -> str:
        """What psql answers to a statement, one row a line, columns with | between."""
        command = ("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(PORT))
        return self._finish(*command, "-U", _USER, "-d", database, "-c", sql).strip()

    def _init(self) -> None:
        how = ("--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
        elsewhere = () if self._log_folder is None else ("--waldir", str(self._log_folder / "wal"))
        self._finish("initdb", "-D", str(self.data), *how, *elsewhere)

    def _wait_until_ready(self) -> None:
        def is_ready() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise ConnectionError(f"PostgreSQL ended as it started: {(self.folder / 'log').read_text()[-2_000:]}")
            command = self._command("pg_isready", "-q", "-h", str(self.folder), "-p", str(PORT))
            return subprocess.run(command, check=False, cwd=self.folder).returncode == 0

        wait_until(is_ready, START_TIMEOUT_S)

    def _finish(self, *command: str) -> str:
        done = subprocess.run(
            self._command(*command), check=False, capture_output=True, text=True, cwd=self.folder, env=_environment()
        )
        if done.returncode:
            raise ConnectionError(f"{command[0]} failed: {done.stderr.strip()[-2_000:]}")
        return done.stdout

    def _command(self, name: str, *arguments: str) -> Sequence[str]:
        return as_user(str(self._bin / name), *arguments)


def as_user(*command: str) -> Sequence[str]:
    """A command that must not run as root."""
    prefix = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--") if is_root() else ()
    return (*prefix, *command)


def scratch_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kvot-pg-"))
    if is_root():
        shutil.chown(folder, _USER)
    return folder


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            raise ConnectionError(f"PostgreSQL was not ready in {timeout_s} s.")
        time.sleep(0.02)


@cache
def find_binaries() -> Path:
    """The folder of initdb and postgres. Raises ConnectionError, saying what is missing."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    pg_config = shutil.which("pg_config")
    if pg_config:
        said = subprocess.run([pg_config, "--bindir"], check=False, capture_output=True, text=True).stdout.strip()
        folders.insert(0, Path(said))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            _need_user()
            return folder
    raise ConnectionError("No PostgreSQL server is installed. On Debian: apt-get install postgresql")


def _need_user() -> None:
    if is_root():
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            raise ConnectionError("PostgreSQL does not run as root, and there is no user named postgres.") from None


def is_root() -> bool:
    return os.geteuid() == 0


def _environment() -> dict[str, str]:
    """Without what would send psql elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
