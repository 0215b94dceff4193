"""The lock that makes one process the only one to use a database, and says which.

A lock of the operating system on a file beside the database, so that it ends with its process however that ends.
The file tells others who holds it; its content alone never locks anything.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from kvot.core.errors import StoreUnavailable

_OWNER_BYTES_MAX = 4_096


class Holder(NamedTuple):
    """The process that has a database, as far as it says: its address is known once a server answers."""

    pid: int | None
    url: str | None

    @property
    def process(self) -> str:
        return "another process" if self.pid is None else f"process {self.pid}"


def holder_of(database: Path) -> Holder | None:
    """Who has a database; None: nobody. Takes nothing, but for an instant a lock beside which no other is given."""
    try:
        file = os.open(_beside(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None  # never opened; or not ours to read, which opening the database will tell
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return _read(file)
    finally:
        os.close(file)


class DatabaseLock:
    """Held from its making until `release`. Raises StoreUnavailable, naming the holder, if another process has it."""

    def __init__(self, database: Path) -> None:
        self._path = _beside(database)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{database} cannot be locked: {error.strerror}. Let the user that runs Kvot write to its folder."
            raise StoreUnavailable(reason) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _read(self._file)
            os.close(self._file)
            raise StoreUnavailable(_in_use(database, holder)) from error
        self.write(url=None)

    def remove(self) -> None:
        """Of a database that goes, too. To be called before `release`."""
        self._path.unlink(missing_ok=True)

    def write(self, *, url: str | None) -> None:
        """Say who holds the database, and where it can be asked."""
        owner = {"pid": os.getpid()} | ({"url": url} if url else {})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(owner).encode(), 0)

    def release(self) -> None:
        """The file stays: to remove it would let two processes lock two files of the same name."""
        os.close(self._file)


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}-lock")


def _read(file: int) -> Holder:
    try:
        owner = json.loads(os.pread(file, _OWNER_BYTES_MAX, 0))
    except (OSError, ValueError):  # its holder is just writing it
        owner = None
    said: dict[str, Any] = owner if isinstance(owner, dict) else {}
    return Holder(said.get("pid"), said.get("url"))


def _in_use(database: Path, holder: Holder) -> str:
    if holder.url is None:
        return f"{database} is in use by {holder.process}. End it, or use another database."
    return (
        f"{database} is in use by {holder.process} ({holder.url}); use --url {holder.url} to ask it instead, with an "
        "API key (a superadmin's to make others), or stop it first."
    )
