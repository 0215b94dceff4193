"""The questions of `kvot doctor`, one function each."""

import os
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kvot.cli import server_checks
from kvot.cli.findings import Finding, Grade
from kvot.core.errors import StoreUnavailable
from kvot.settings import ProviderSettings, Settings, SettingsError, providers_of, read_secret

FREE_BYTES_WARN = 1 << 30
FREE_BYTES_FAIL = 64 << 20
"""A gigabyte holds some seven million events; with less than the write-ahead log can need, writes are about to fail."""

_BUILT_S = 1_767_225_600
"""2026-01-01: no clock that is right says anything earlier."""

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "afs"}
)
_TOKEN_SETTINGS = ("jwt_secret", "jwt_public_key_file", "jwt_jwks_url")


def engine(settings: Settings) -> Iterator[Finding]:
    """Which keeps the ledger, and is its version one that we know? Of a database server that cannot be asked the
    question that comes next says why."""
    if settings.database_path is not None:
        yield _sqlite_version()
    elif (found := _postgres_version(settings)) is not None:
        yield _postgres(*found)


def _postgres(version: str, syncs: bool) -> Finding:
    if syncs:
        return Finding("postgresql", Grade.OK, version)
    advice = "A crash of its machine may lose or damage all of it. Set fsync to on, unless nothing in it matters."
    return Finding("postgresql", Grade.WARN, f"{version}, fsync is off", advice)


def _postgres_version(settings: Settings) -> tuple[str, bool] | None:
    from kvot.cli.running import run
    from kvot.stores.postgres.schema import server_version

    try:
        return run(server_version(settings.database))
    except StoreUnavailable:
        return None


def _sqlite_version() -> Finding:
    import apsw

    from kvot.stores.sqlite.connection import check_version

    version = apsw.sqlite_lib_version()
    try:
        check_version(version)
    except StoreUnavailable as error:
        return Finding("sqlite", Grade.FAIL, version, error.message)
    return Finding("sqlite", Grade.OK, version)


def database(settings: Settings) -> Iterator[Finding]:
    """Is it there, may we use it, is its schema current? A server that has it goes on, and is asked."""
    path = settings.database_path
    if path is None:
        yield _opened(settings, "server, schema", "answers, current")
        return
    try:
        state = path.stat()
    except FileNotFoundError:
        yield Finding("database", Grade.WARN, f"{path} does not exist", f"Make it by a start: {_start(settings)}")
        return
    except OSError as error:
        advice = "Name a file that the user that runs Kvot may read and write, in a folder where it may write."
        yield Finding("database", Grade.FAIL, f"{path}: {error.strerror}", advice)
        return
    if not state.st_size:  # to open it would fill it
        yield Finding("database", Grade.WARN, f"{path} is empty", f"Fill it by a start: {_start(settings)}")
        return
    yield Finding("database", Grade.OK, f"{path}, {state.st_size:,} bytes, owned by {_owner(state.st_uid)}")
    holder = server_checks.holder(path)
    if holder is None:
        yield _opened(settings, "lock, schema", "free, current")
    else:
        yield from server_checks.beside(settings, holder)


def _start(settings: Settings) -> str:
    """Of this very database: said at the end, where no full stop follows the name of a file."""
    is_default = settings.database == Settings.database
    return "kvot serve" if is_default else f"kvot serve --database {shlex.quote(str(settings.database_path))}"


def _opened(settings: Settings, name: str, is_well: str) -> Finding:
    from kvot.bootstrap import rules_of, wall_ms
    from kvot.cli.running import run
    from kvot.stores import open_store

    async def look() -> int:
        store = open_store(settings.database, rules_of(settings), wall_ms)
        try:
            await store.ready()
            return len(await store.companies())
        finally:
            await store.close()

    try:
        companies = run(look())
    except StoreUnavailable as error:
        return Finding(name, Grade.FAIL, error.message)
    return Finding(name, Grade.OK, f"{is_well}, {companies:,} companies")


def _owner(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


_OWN_IT = "Let the user that runs Kvot own the file."


def secret(settings: Settings, *, is_usable: bool) -> Iterator[Finding]:
    """Is it there, and for us alone? Nothing is asked of one that is missing beside a file that cannot be used
    (`is_usable`): the question before tells what is wrong with that, and it may be no database at all."""
    path = settings.secret_path
    if settings.secret is not None:
        yield Finding("secret", Grade.OK, "given by KVOT_SECRET or the settings file")
    elif path is None:
        yield Finding("secret", Grade.FAIL, "none", "Set KVOT_SECRET or KVOT_SECRET_FILE.")
    else:
        try:
            yield _secret_file(path, path.stat())
        except (FileNotFoundError, NotADirectoryError):
            if is_usable or settings.database_path is None:
                yield _missing_secret(path, settings.database_path)
        except OSError as error:
            yield Finding("secret", Grade.FAIL, f"{path}: {error.strerror}", _OWN_IT)


def _secret_file(path: Path, state: os.stat_result) -> Finding:
    mode = stat.S_IMODE(state.st_mode)
    if mode & 0o077:
        return Finding("secret", Grade.FAIL, f"{path} has mode {mode:04o}", f"chmod 600 {path}; others can read it.")
    if not os.access(path, os.R_OK):
        detail = f"{path} cannot be read: it belongs to {_owner(state.st_uid)}"
        return Finding("secret", Grade.FAIL, detail, _OWN_IT)
    return Finding("secret", Grade.OK, f"{path}, mode {mode:04o}")


def _missing_secret(path: Path, database: Path | None) -> Finding:
    missing = f"{path} does not exist"
    if database is None:
        return Finding("secret", Grade.FAIL, missing, "Put the file there, or set KVOT_SECRET.")
    if database.exists() and database.stat().st_size:
        advice = "Put the file back. If it is lost, set KVOT_SECRET to a new one and run kvot keys accept-secret."
        return Finding("secret", Grade.FAIL, f"{missing}, but its database does", advice)
    return Finding("secret", Grade.WARN, missing, "The first start makes it. Keep a copy apart.")


def secret_fits(settings: Settings) -> Iterator[Finding]:
    """Is it the one that the keys were made under? Asks nothing where there is nothing to compare, or no way to."""
    from kvot.bootstrap import rules_of
    from kvot.cli.running import run
    from kvot.core.archive import SecretCheck
    from kvot.core.keys import SECRET_CHECK, derive_key
    from kvot.stores.archives import open_source

    async def kept() -> bytes | None:
        source = await open_source(settings.database, rules_of(settings))
        try:
            async for part in source.shared():
                return part.check if isinstance(part, SecretCheck) else None  # it comes first
            return None
        finally:
            await source.close()

    if settings.secret is None and not (settings.secret_path and os.access(settings.secret_path, os.R_OK)):
        return
    try:
        check = run(kept())
        if check is None:
            return
        fits = derive_key(read_secret(settings), SECRET_CHECK) == check
    except (StoreUnavailable, SettingsError):  # which is found by the questions before
        return
    if fits:
        yield Finding("secret's keys", Grade.OK, "made under it")
    else:
        advice = "Put the right one back. If it is lost: kvot keys accept-secret, then make new keys."
        yield Finding("secret's keys", Grade.FAIL, "made under another one: none of them would be taken", advice)


def folder(settings: Settings) -> Iterator[Finding]:
    """The disk that the database is on."""
    path = settings.database_path
    if path is None:
        return
    parent = path.resolve().parent
    if not parent.is_dir():
        yield Finding("folder", Grade.FAIL, f"{parent} does not exist", f"mkdir -p {parent}")
        return
    if not os.access(parent, os.W_OK):
        yield Finding("folder", Grade.FAIL, f"{parent} is not writable", "Let the user that runs Kvot write there.")
    yield _free_space(parent)
    yield _file_system(parent)


def _free_space(parent: Path) -> Finding:
    free_bytes = shutil.disk_usage(parent).free
    detail = f"{free_bytes / (1 << 30):,.1f} GiB free in {parent}"
    if free_bytes < FREE_BYTES_FAIL:
        return Finding("disk", Grade.FAIL, detail, "Make room now: writes are about to be refused.")
    if free_bytes < FREE_BYTES_WARN:
        return Finding("disk", Grade.WARN, detail, "Make room, or prune: kvot prune.")
    return Finding("disk", Grade.OK, detail)


def _file_system(parent: Path) -> Finding:
    kind = file_system_of(parent, Path("/proc/self/mounts"))
    if kind is None:
        return Finding("file system", Grade.WARN, "unknown", "Make sure that it is a local disk, not a network's.")
    if kind in _NETWORK_FILE_SYSTEMS:
        advice = "Move the database to a local disk: locks on a network's do not hold."
        return Finding("file system", Grade.FAIL, f"{kind}, over the network", advice)
    return Finding("file system", Grade.OK, kind)


def file_system_of(folder: Path, mounts: Path) -> str | None:
    """The kind of file system that a folder is on, from the kernel's table of mounts."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    mounted = [(point, kind) for _, point, kind, *_ in map(str.split, lines) if _contains(point, folder)]
    return max(mounted, key=lambda each: len(each[0]))[1] if mounted else None


def _contains(mount: str, folder: Path) -> bool:
    point = Path(mount.replace("\\040", " "))
    return point == folder or point in folder.parents


def clock(now_s: float | None = None) -> Finding:
    now_s = time.time() if now_s is None else now_s
    detail = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    if now_s < _BUILT_S:
        return Finding("clock", Grade.FAIL, detail, "Set the clock: it is years behind.")
    return Finding("clock", Grade.OK, detail)


def tokens(settings: Settings) -> Finding:
    """Can bearer tokens be verified, and are they pinned down? A JWKS is not fetched: the server does that."""
    source = next((name for name in _TOKEN_SETTINGS if getattr(settings, name) is not None), None)
    if source is None:
        return Finding("tokens", Grade.OK, "no bearer tokens are accepted, only API keys")
    try:
        _try_tokens(settings)
    except SettingsError as error:
        return Finding("tokens", Grade.FAIL, str(error))
    loose = [name for name in ("jwt_issuer", "jwt_audience") if getattr(settings, name) is None]
    if loose:
        missing = " and ".join(f"KVOT_{name.upper()}" for name in loose)
        advice = f"Set {missing}, or tokens for others are taken too."
        return Finding("tokens", Grade.WARN, f"verified by KVOT_{source.upper()}", advice)
    return Finding("tokens", Grade.OK, f"verified by KVOT_{source.upper()}, issuer and audience stated")


def providers(settings: Settings) -> Finding:
    """Which providers calls are passed on to. Nobody is called: a key is tried by the first call that needs it."""
    named = providers_of(settings)
    if not named:
        return Finding("providers", Grade.OK, "none: no calls pass through")
    try:
        _try_providers(settings, named)
    except SettingsError as error:
        return Finding("providers", Grade.FAIL, str(error))
    open_ones = [one.name for one in named if one.base_url.startswith("http://") and not _is_near(one.base_url)]
    found = ", ".join(one.name for one in named)
    if open_ones:
        advice = "Their keys and every prompt go over the network in the clear: use https."
        return Finding("providers", Grade.WARN, f"{found}; without TLS {', '.join(open_ones)}", advice)
    return Finding("providers", Grade.OK, found)


def _try_providers(settings: Settings, named: tuple[ProviderSettings, ...]) -> None:
    from kvot.bootstrap import check_dialects, open_counting

    check_dialects(named)
    if settings.input_hold == "exact":
        open_counting()


def _is_near(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def _try_tokens(settings: Settings) -> None:
    from kvot.http.auth import make_authenticator

    nobody: Any = None  # no key is looked up: only the settings are tried
    make_authenticator(settings, nobody, b"", lambda: 0)
