"""The lock that makes one process the only one to use a database, and says which.

A lock of the operating system on a file beside the database, so that it ends with its process however that ends.
The file tells others who holds it; its content alone never locks anything.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from kvot.core.errors import StoreUnavailable

_OWNER_BYTES_MAX = 4_096


class DatabaseLock:
    """Held from its making until `release`. Raises StoreUnavailable, naming the holder, if another process has it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{database} cannot be locked: {error.strerror}. Let the user that runs Kvot write to its folder."
            raise StoreUnavailable(reason) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._read()
            os.close(self._file)
            raise StoreUnavailable(_in_use(database, holder)) from error
        self.write(url=None)

    def write(self, *, url: str | None) -> None:
        """Say who holds the database, and where it can be asked."""
        owner = {"pid": os.getpid()} | ({"url": url} if url else {})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(owner).encode(), 0)

    def release(self) -> None:
        """The file stays: to remove it would let two processes lock two files of the same name."""
        os.close(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            owner = json.loads(os.pread(self._file, _OWNER_BYTES_MAX, 0))
        except (OSError, ValueError):  # its holder is just writing it
            return {}
        return owner if isinstance(owner, dict) else {}


def _in_use(database: Path, owner: dict[str, Any]) -> str:
    process = f"process {owner['pid']}" if "pid" in owner else "another process"
    if "url" not in owner:
        return f"{database} is in use by {process}. End it, or use another database."
    return f"{database} is in use by {process} ({owner['url']}); use --url {owner['url']} to ask it instead."
