"""A whole database in one file, the same for every engine: JSON lines under gzip, with a checksum at the end.

    ["kvot backup", 2]
    ["start", ["6f9619ff-…", 1790000000000, …]]      the parts of kvot.core.archive, one a line, by column
    ["events", [[…], …]]
    …
    ["end of backup", 1234, "sha256 of all bytes above"]

The file comes into being whole or not at all, readable by its owner alone. It holds hashes of API keys and
sealed keys to providers, no key, and not the secret that they are hashed and sealed under.
"""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from kvot.core.archive import (
    Audit,
    Events,
    Holds,
    Keys,
    LedgerEnd,
    LedgerStart,
    Part,
    SealedKeys,
    SecretCheck,
    StoredReplies,
)
from kvot.core.errors import Conflict, InvalidRequest

T = TypeVar("T")

VERSION = 2
"""In 1 no event had a receipt. It is read as it was."""

LINE_BYTES_MAX = 64 << 20
"""Of a part at most: 500 events with every text at its longest come to 4 MB."""

_LEVEL = 3
"""Of compression: beyond it the time doubles and the file hardly shrinks."""

_HEAD, _TAIL = "kvot backup", "end of backup"
_PARTS: dict[str, type[Part]] = {
    "start": LedgerStart,
    "events": Events,
    "holds": Holds,
    "replies": StoredReplies,
    "end": LedgerEnd,
    "secret_check": SecretCheck,
    "keys": Keys,
    "provider_keys": SealedKeys,
    "audit": Audit,
}
_NAMES = {kind: name for name, kind in _PARTS.items()}
_encoder = msgspec.json.Encoder(order="deterministic")


class BackupWriter:
    """`Sink` of a file. It is made beside its final name and gets it when it is committed, complete and on disk."""

    def __init__(self, path: Path) -> None:
        _refuse_existing(path)
        self._path = path
        handle, self._draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # O_EXCL, mode 0600
        self._file = os.fdopen(handle, "wb")
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=_LEVEL, filename="", mtime=0)
        self._sha256 = hashlib.sha256()
        self._lines = 0
        self._write_line([_HEAD, VERSION])

    async def write(self, part: Part) -> None:
        self._write_line([_NAMES[type(part)], part])

    async def commit(self) -> None:
        """To be called once, at the end."""
        self._write_line([_TAIL, self._lines, self._sha256.hexdigest()])
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        _refuse_existing(self._path)
        os.rename(self._draft, self._path)
        _sync_folder(self._path.parent)

    async def close(self) -> None:
        self._file.close()
        Path(self._draft).unlink(missing_ok=True)

    def _write_line(self, line: list[Any]) -> None:
        data = _encoder.encode(line) + b"\n"
        self._sha256.update(data)
        self._gzip.write(data)
        self._lines += 1


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Conflict(f"{path} exists already. Choose another name for the backup.")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class BackupReader:
    """The parts of a backup. Raises InvalidRequest "DamagedBackup" for a file that is not whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="rb")
        self._sha256 = hashlib.sha256()
        self._lines = 0
        self.total_bytes = path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gzip.close()
        self._file.close()

    @property
    def read_bytes(self) -> int:
        """How far the file was read."""
        return self._file.tell()

    async def parts(self) -> AsyncIterator[Part]:
        """Every part; it ends only when the checksum at the end of the file was seen to be that of all before it."""
        name, version = self._line()
        if name != _HEAD:
            raise self._damaged("it is not a backup of Kvot")
        if not 1 <= self._value(version, int) <= VERSION:
            raise self._damaged("it was made by a newer Kvot")
        while True:
            before = (self._lines, self._sha256.hexdigest())
            name, *values = self._line()
            if name == _TAIL:
                self._check_end(before, values)
                return
            if name not in _PARTS:
                raise self._damaged(f"line {self._lines} is unknown")
            yield self._value(values[0], _PARTS[name])

    def misfit(self) -> InvalidRequest:
        """What to raise when the part that was read last does not fit those before it."""
        return self._damaged(f"line {self._lines} does not fit those before it")

    def _line(self) -> list[Any]:
        """What a line is, and its values as they stand."""
        data = self._read(LINE_BYTES_MAX)
        if not data.endswith(b"\n"):
            raise self._damaged("it has no end")
        self._sha256.update(data)
        self._lines += 1
        line = self._value(data, list[msgspec.Raw])
        if len(line) < 2:  # noqa: PLR2004 (a name and a value)
            raise self._damaged(f"line {self._lines} is not readable")
        return [self._value(line[0], str), *line[1:]]

    def _read(self, bytes_max: int) -> bytes:
        try:
            return self._gzip.readline(bytes_max)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._damaged("it is cut off, or no gzip file") from error

    def _value(self, data: bytes | msgspec.Raw, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._damaged(f"line {self._lines} is not readable") from error

    def _check_end(self, before: tuple[int, str], values: list[msgspec.Raw]) -> None:
        if tuple(self._value(each, kind) for each, kind in zip(values, (int, str), strict=False)) != before:
            raise self._damaged("its checksum is not that of what it holds")
        if self._read(1):
            raise self._damaged("something follows its end")

    def _damaged(self, what: str) -> InvalidRequest:
        return InvalidRequest(f"{self._path} cannot be restored: {what}.", code="DamagedBackup")
