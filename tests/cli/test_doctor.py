import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kvot.cli import checks
from kvot.cli.findings import Grade
from kvot.stores.sqlite.lock import DatabaseLock
from tests.cli.support import ACME


def grades(ran):
    return {each["name"]: each["grade"] for each in ran.document["findings"]}


def test_a_sound_house_gets_a_clean_bill(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    ran = kvot("doctor", "--json")
    assert ran.code == 0
    assert set(grades(ran)) == {
        "sqlite",
        "database",
        "lock, schema",
        "secret",
        "secret's keys",
        "disk",
        "file system",
        "clock",
        "tokens",
        "providers",
    }
    assert "fail" not in grades(ran).values()


def test_before_the_first_start_it_says_what_to_do_and_makes_nothing(kvot):
    for words, start in ((("--database", "none.db"), "kvot serve --database none.db"), ((), "kvot serve")):
        ran = kvot.bare("doctor", *words)
        assert (ran.code, f"→ Make it by a start: {start}\n" in ran.out) == (0, True)
    assert list(kvot.folder.iterdir()) == []


def test_a_provider_that_is_reached_in_the_clear_is_told_of(kvot, monkeypatch):
    kvot("record", "--company", ACME, "--tokens", 5)
    monkeypatch.setenv("KVOT_OLLAMA_BASE_URL", "http://127.0.0.1:11434")
    assert grades(kvot("doctor", "--json"))["providers"] == "ok"
    monkeypatch.setenv("KVOT_OPENAI_BASE_URL", "http://models.internal/v1")
    assert grades(kvot("doctor", "--json"))["providers"] == "warn"


def test_a_provider_that_the_server_would_refuse_is_found(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    config = kvot.file("kvot.toml", '[providers.foo]\ndialect = "morse"\nbase_url = "https://foo.example"\n')
    looked = kvot("doctor", "--config", config, "--json")
    assert (looked.code, grades(looked)["providers"]) == (1, "fail")
    assert "The dialect of the provider foo is 'morse': must be one of openai," in looked.out


def test_an_open_secret_is_found(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    (kvot.folder / "kvot.db.secret").chmod(0o644)
    ran = kvot("doctor", "--json")
    assert (ran.code, grades(ran)["secret"]) == (1, "fail")


def test_another_secret_than_that_of_the_keys_is_found(kvot):
    kvot("keys", "create", "--company", ACME)
    (kvot.folder / "kvot.db.secret").write_text("w" * 43)
    ran = kvot("doctor", "--json")
    assert (ran.code, grades(ran)["secret"], grades(ran)["secret's keys"]) == (1, "ok", "fail")


def test_a_lost_secret_is_found(kvot):
    kvot("record", "--company", ACME, "--tokens", 5)
    (kvot.folder / "kvot.db.secret").unlink()
    assert grades(kvot("doctor", "--json"))["secret"] == "fail"


@pytest.mark.parametrize("content", ["hello", "SQLite format 3\0".ljust(4_096, "\0"), None])
def test_of_what_is_no_database_no_secret_is_missed(kvot, content):
    if content is None:
        (kvot.folder / "kvot.db").mkdir()
    else:
        kvot.file("kvot.db", content)
    ran = kvot("doctor", "--json")
    assert (ran.code, grades(ran)["lock, schema"], "secret" in grades(ran)) == (1, "fail", False)


def test_an_empty_file_is_left_empty_for_the_first_start(kvot):
    file = kvot.file("kvot.db", "")
    ran = kvot("doctor", "--json")
    assert (ran.code, grades(ran)["database"], grades(ran)["secret"]) == (0, "warn", "warn")
    assert (file.stat().st_size, list(kvot.folder.iterdir())) == (0, [file])


def test_a_place_that_cannot_be_a_file_s_is_a_finding(kvot):
    kvot.file("file", "x")
    ran = kvot.bare("doctor", "--database", "file/kvot.db", "--json")
    assert (ran.code, grades(ran)["database"], "secret" in grades(ran)) == (1, "fail", False)


@contextmanager
def held(kvot, url):
    kvot("record", "--company", ACME, "--tokens", 5)
    lock = DatabaseLock(kvot.database)
    lock.write(url=url)
    try:
        yield
    finally:
        lock.release()


def test_a_database_that_a_command_has_is_well_and_said_to_be_in_use(kvot):
    with held(kvot, None):
        ran = kvot("doctor", "--json")
    found = {each["name"]: each["detail"] for each in ran.document["findings"]}
    assert ran.code == 0
    assert found["lock"].startswith(f"held by process {os.getpid()}, which says no address")
    assert found["schema"] == "current, 1 companies"


def test_a_running_server_is_named_with_its_address_and_asked(kvot):
    with Readiness({"ready": True}) as server, held(kvot, server.url):
        ran = kvot("doctor", "--json")
    details = [(each["name"], each["detail"]) for each in ran.document["findings"]]
    assert ran.code == 0
    assert ("lock", f"held by process {os.getpid()}, a server that runs at {server.url}") in details
    assert ("server", "ready") in details


def test_why_a_server_s_jwks_could_not_be_fetched_is_a_warning(kvot):
    said = {"ready": True, "problem": "The keys could not be fetched (status 500)."}
    with Readiness(said) as server, held(kvot, server.url):
        for ran in (kvot("doctor", "--json"), kvot.bare("doctor", "--url", server.url, "--json")):
            found = next(each for each in ran.document["findings"] if each["name"] == "server")
            assert (found["grade"], "status 500" in found["detail"]) == ("warn", True)


def test_a_holder_that_does_not_answer_where_it_says_is_found(kvot):
    with held(kvot, "http://127.0.0.1:9"):
        ran = kvot("doctor", "--json")
    assert (ran.code, grades(ran)["server"]) == (1, "fail")


class Readiness:
    """A server that says one thing at /readyz, and nothing else."""

    def __init__(self, said):
        body = json.dumps(said).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/readyz" else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def test_what_is_no_database_is_found(kvot):
    kvot.file("kvot.db", b"not a database, but long enough to be looked at" * 100)
    assert grades(kvot("doctor", "--json"))["lock, schema"] == "fail"


def test_secrets_are_masked(kvot, monkeypatch):
    monkeypatch.setenv("KVOT_SECRET", "a" * 40)
    monkeypatch.setenv("KVOT_JWT_SECRET", "b" * 40)
    out = kvot("doctor").out + kvot("doctor", "--json").out
    assert "a" * 40 not in out
    assert "b" * 40 not in out
    assert "***" in out
    assert "KVOT_JWT_ISSUER" in out


def test_settings_that_name_nothing_are_none_and_0_is_a_figure(kvot, monkeypatch):
    assert kvot("doctor", "--json").document["settings"]["providers"] is None
    monkeypatch.setenv("KVOT_CACHED_TOKEN_PERCENT", "0")
    monkeypatch.setenv("KVOT_OWN_KEY_PROVIDERS", "openai,gemini")
    shown = kvot("doctor", "--json").document["settings"]
    assert (shown["cached_token_percent"], shown["own_key_providers"]) == (0, "openai, gemini")


def test_a_token_key_that_cannot_be_read_is_found(kvot, monkeypatch):
    monkeypatch.setenv("KVOT_JWT_PUBLIC_KEY_FILE", "missing.pem")
    assert grades(kvot("doctor", "--json"))["tokens"] == "fail"


def test_a_clock_that_is_years_behind_is_found():
    assert checks.clock(1_000_000_000).grade is Grade.FAIL


@pytest.mark.parametrize(
    ("folder", "kind"), [("/srv/kvot", "nfs4"), ("/srv", "nfs4"), ("/", "ext4"), ("/srvx", "ext4"), ("/a b/c", "cifs")]
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nhost:/x /srv nfs4 rw 0 0\n//host/x /a\\040b cifs rw 0 0\n")
    assert checks.file_system_of(Path(folder), mounts) == kind


def test_a_proxy_that_is_none_keeps_no_finding_back(kvot, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks4://127.0.0.1:1")
    with held(kvot, "http://127.0.0.1:1"):
        found = {each["name"]: each for each in kvot("doctor", "--json").document["findings"]}
    assert ("by the proxy socks4" in found["server"]["detail"], "clock" in found) == (True, True)
