"""What stops a database from being opened, and what whoever runs Kvot is told then."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from kvot.core.budget import Rules
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent
from kvot.stores import open_store
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.connection import check_version
from kvot.stores.sqlite.schema import Step, known_steps, migrate

from .conftest import COMPANY, T0

NOBODY = 65_534

HOLDER = """
import sys
from pathlib import Path
from kvot.core.budget import Rules
from kvot.stores.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]), Rules())
if len(sys.argv) > 2:
    store.set_url(sys.argv[2])
print("open", flush=True)
sys.stdin.read()
"""


def refusal(path: Path) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        SqliteStore.open(path, Rules())
    return caught.value.message


def hold(path: Path, *url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path), *url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


# -- another process ---------------------------------------------------------------------------------------------


def test_a_second_process_is_told_who_has_the_database(path):
    with hold(path) as holder:
        assert refusal(path) == f"{path} is in use by process {holder.pid}. End it, or use another database."
        holder.communicate()


def test_a_second_process_is_told_where_to_ask_instead(path):
    url = "http://127.0.0.1:8080"
    with hold(path, url) as holder:
        assert refusal(path) == (
            f"{path} is in use by process {holder.pid} ({url}); use --url {url} to ask it instead, with an API key "
            "(a superadmin's to make others), or stop it first."
        )
        holder.communicate()


async def test_a_process_that_was_killed_locks_nobody_out(path):
    with hold(path) as holder:
        holder.kill()
    await SqliteStore.open(path, Rules()).close()


async def test_a_store_that_could_not_be_opened_holds_no_lock(path):
    path.write_bytes(b"not a database" * 1_000)
    refusal(path)
    path.unlink()
    await SqliteStore.open(path, Rules()).close()


async def test_another_program_that_locks_the_file_is_waited_for_and_then_named(store, path):
    store._write_connection.set_busy_timeout(1)
    blocker = apsw.Connection(str(path))
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another program"):
        await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    blocker.execute("ROLLBACK")
    blocker.close()
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)


# -- the file ----------------------------------------------------------------------------------------------------


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """A folder that everybody may enter, with a database in it, seen as a user who owns nothing there."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    SqliteStore.open(folder / "kvot.db", Rules())._lock.release()
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_missing_folder(tmp_path):
    assert f"there is no folder {tmp_path / 'no'}" in refusal(tmp_path / "no" / "kvot.db")


def test_a_folder_that_may_not_be_written_to(others_folder):
    if os.geteuid() != NOBODY:
        others_folder.chmod(0o555)
        (others_folder / "kvot.db-lock").unlink(missing_ok=True)
    assert "Let the user that runs Kvot write to its folder" in refusal(others_folder / "new.db")


@pytest.mark.parametrize("content", [b"not a database" * 1_000, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_file_that_is_no_database(path, content):
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path} is ")


async def test_a_corrupt_page_is_told_of_and_nothing_more_is_written(path):
    store = SqliteStore.open(path, Rules())
    await store.record(COMPANY, NewEvent("e1", 1), now_ms=T0)
    await store.close()
    content = bytearray(path.read_bytes())
    content[4_096:] = b"\xff" * (len(content) - 4_096)
    path.write_bytes(content)
    assert "restore it from a backup" in refusal(path)


def test_a_database_of_another_program(path):
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE theirs(x)")
    other.close()
    assert refusal(path) == f"{path} is a database of another program. Choose another file."


# -- versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.0", "3.51.2"])
def test_a_version_of_sqlite_that_can_corrupt_is_refused(version):
    with pytest.raises(StoreUnavailable, match="can corrupt"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_mended_version_of_sqlite_is_taken(version):
    check_version(version)


async def test_a_newer_schema_is_refused(path):
    await SqliteStore.open(path, Rules()).close()
    with apsw.Connection(str(path)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, '0099_from_the_future', 'x')")
    connection.close()
    assert "made by a newer Kvot (schema 0099_from_the_future)" in refusal(path)


async def test_a_schema_step_that_is_not_ours_is_refused(path):
    await SqliteStore.open(path, Rules()).close()
    with apsw.Connection(str(path)) as connection:
        connection.execute("UPDATE schema_version SET checksum = 'x' WHERE version = 1")
    connection.close()
    assert "another schema step" in refusal(path)


def test_a_step_is_applied_once_and_only_if_it_is_missing(path):
    connection = apsw.Connection(str(path))
    steps = [*known_steps(), Step(known_steps()[-1].version + 1, "9999_more", "CREATE TABLE more(x)")]
    migrate(connection, path, steps[:1])
    migrate(connection, path, steps)
    migrate(connection, path, steps)
    names = connection.execute("SELECT name FROM schema_version").fetchall()
    assert names == [*((step.name,) for step in known_steps()), ("9999_more",)]
    connection.close()


def test_a_step_that_fails_leaves_the_schema_as_it_was(path):
    connection = apsw.Connection(str(path))
    migrate(connection, path, known_steps())
    bad = Step(99, "0099_bad", "CREATE TABLE more(x); CREATE TABLE more(x)")
    with pytest.raises(apsw.SQLError):
        migrate(connection, path, [*known_steps(), bad])
    assert not connection.table_exists("main", "more")
    connection.close()


# -- addresses ---------------------------------------------------------------------------------------------------


async def test_a_url_with_an_absolute_path(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/kvot.db", Rules())
    await store.close()
    assert (tmp_path / "kvot.db").exists()


async def test_a_url_with_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///kvot.db", Rules())
    await store.close()
    assert (tmp_path / "kvot.db").exists()


@pytest.mark.parametrize("url", ["kvot.db", "sqlite://kvot.db", "sqlite:///", "postgres:///kvot", ""])
def test_a_url_that_names_no_database(url):
    with pytest.raises(StoreUnavailable, match="its URL must be one of sqlite:///"):
        open_store(url, Rules())


async def test_another_name_of_the_file_meets_the_same_lock(path, store):
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert "is in use by process" in refusal(link)


async def test_a_second_hard_link_is_refused(path):
    await SqliteStore.open(path, Rules()).close()
    os.link(path, path.with_name("second.db"))
    for name in (path, path.with_name("second.db")):
        assert "hard link" in refusal(name)
