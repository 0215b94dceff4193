"""The secret that everything else is derived from: given, or kept in a file that its owner alone can read."""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from kvot.settings.accepted import SECRET_BYTES_LEAST, SettingsError
from kvot.settings.settings import Settings

_SECRET_FILE_BYTES_MAX = 4_096
_SQLITE_MAGIC = b"SQLite format 3\0"
"""What every file of SQLite's begins with: https://www.sqlite.org/fileformat.html"""

_SQLITE_HEADER_BYTES = 100
_APPLICATION_ID = slice(68, 72)
"""Where in it the program stands whose file it is. Kvot writes its name."""


def read_secret(settings: Settings) -> bytes:
    """The secret. Call before the database is opened: on the first embedded start this makes the secret's file.

    A database without its secret is refused, since a new secret would silently end every API key in it.
    """
    if settings.secret is not None:
        return settings.secret.encode()
    path = settings.secret_path
    assert path is not None, "Settings.load lets nothing through without a secret or a place for one"
    try:
        if not path.exists():
            _refuse_orphan(settings, path)
            _make_secret_file(path)
        return _read_secret_file(path)
    except OSError as error:
        raise SettingsError(f"The secret file {path} {_why_not(path, error)}") from error


def _why_not(path: Path, error: OSError) -> str:
    """Why the file could not be used, and what to do about it."""
    if not path.parent.is_dir():
        return f"cannot be made: there is no folder {path.parent}. Make the folder first."
    if isinstance(error, PermissionError):
        return "may not be read or made. Let the user that runs Kvot own the file, and write to its folder."
    return f"cannot be read or made: {error.strerror}."


def _refuse_orphan(settings: Settings, path: Path) -> None:
    database = settings.database_path
    if database is None:
        raise SettingsError(
            f"The secret file {path} does not exist. Put back the one that the keys were made under. For a new "
            f"database make one: (umask 077; openssl rand -base64 32 > {path})"
        )
    if database.exists() and database.stat().st_size:
        if why := _why_no_database(database):
            raise SettingsError(f"{database} {why}")
        raise SettingsError(
            f"The database {database} exists but its secret file {path} does not: put the file back, or beside a copy "
            "or a restored backup that of the database it was made of. If it is lost, set KVOT_SECRET to a new secret "
            "and run kvot keys accept-secret; API keys made so far then stop working."
        )


def _why_no_database(path: Path) -> str | None:
    """What a file says of itself that cannot be a database of Kvot's. While a write-ahead log is beside it, what it
    says of its program may be older than that."""
    try:
        with path.open("rb") as file:
            header = file.read(_SQLITE_HEADER_BYTES)
    except IsADirectoryError:
        header = b""
    except OSError:  # to open it, which comes next, tells why
        return None
    if not header.startswith(_SQLITE_MAGIC):
        return "is not a database. Choose another file, or restore it from a backup."
    has_log = path.with_name(f"{path.name}-wal").exists()
    if len(header) == _SQLITE_HEADER_BYTES and header[_APPLICATION_ID] != b"Kvot" and not has_log:
        return "is a database of another program. Choose another file."
    return None


def _make_secret_file(path: Path) -> None:
    """Whole or not at all, on disk when this returns; of several processes one wins and the others read its file."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # O_EXCL, mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_secret_file(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise SettingsError(f"The secret file {path} is not a regular file.")
        if state.st_mode & 0o077:
            mode = stat.S_IMODE(state.st_mode)
            raise SettingsError(
                f"The secret file {path} is open to others than its owner (mode {mode:04o}): "
                "chmod it to 0600, and replace the secret if somebody may have read it."
            )
        secret = file.read(_SECRET_FILE_BYTES_MAX).strip()
    if len(secret) < SECRET_BYTES_LEAST:
        raise SettingsError(f"The secret file {path} must hold at least {SECRET_BYTES_LEAST} bytes.")
    return secret
