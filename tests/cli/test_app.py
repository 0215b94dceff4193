import subprocess
import sys

import pytest

from kvot import __version__
from tests.cli.support import ACME, SRC

COMMANDS = [
    ("serve",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("keys", "import"),
    ("keys", "accept-secret"),
    ("provider-keys", "set"),
    ("provider-keys", "list"),
    ("provider-keys", "remove"),
    ("holds", "list"),
    ("holds", "release"),
    ("budget", "show"),
    ("budget", "set"),
    ("budget", "history"),
    ("usage",),
    ("record",),
    ("events",),
    ("import",),
    ("verify",),
    ("prune",),
    ("backup",),
    ("restore",),
    ("migrate",),
    ("doctor",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_what_it_does_an_example_and_json(kvot, command):
    ran = kvot.bare(*command, "--help")
    assert ran.code == 0
    assert "For example:" in ran.out
    assert f"kvot {' '.join(command)}" in " ".join(ran.out.split())
    assert "--json" in ran.out
    assert "--database" in ran.out


@pytest.mark.parametrize("command", [*COMMANDS, ("copy",)], ids=" ".join)
def test_an_example_stands_on_one_line_of_a_terminal_and_says_nothing_else(kvot, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    examples = kvot.bare(*command, "--help").out.split("For example:")[1].split("╭")[0]
    for line in filter(str.strip, examples.splitlines()):
        assert f"kvot {' '.join(command)}" in line
        assert "   " not in line.strip()


def test_an_import_says_that_its_json_is_lines(kvot):
    line = next(line for line in kvot.bare("import", "--help").out.splitlines() if "│ --json" in line)
    assert "line for each refused row" in line


OF_A_DATABASE = [
    ("serve",),
    ("events",),
    ("migrate",),
    ("backup",),
    ("restore",),
    ("keys", "accept-secret"),
]


@pytest.mark.parametrize("command", OF_A_DATABASE, ids=" ".join)
def test_a_command_that_works_on_no_server_does_not_list_one(kvot, command):
    out = kvot.bare(*command, "--help").out
    assert ("--database" in out, "--url STR" in out, "--api-key" in out) == (True, False, False)


@pytest.mark.parametrize("option", ["--url", "--api-key"])
def test_nor_takes_one_but_for_one_in_the_environment(kvot, monkeypatch, option):
    monkeypatch.setenv("KVOT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KVOT_API_KEY", "k")
    assert kvot.bare("record", "--company", ACME, "--tokens", 1, "--database", "kvot.db").code == 0
    for words in (("events", "--company", ACME), ("backup", "b.gz"), ("migrate",), ("keys", "accept-secret", "--yes")):
        named = ("--database", "kvot.db") if words[0] in ("events", "backup") else ()
        assert kvot.bare(*words, *named).code == 0, words
        refused = kvot.bare(*words, option, "http://127.0.0.1:1")
        assert (refused.code, "not through a server" in refused.err) == (2, True), words


@pytest.mark.parametrize("words", [("events", "--company", ACME), ("backup", "b.gz")])
def test_with_a_server_in_the_environment_no_database_is_read_that_nobody_named(kvot, monkeypatch, words):
    assert kvot.bare("record", "--company", ACME, "--tokens", 1).code == 0
    monkeypatch.setenv("KVOT_URL", "http://127.0.0.1:1")
    ran = kvot.bare(*words)
    assert (ran.code, ran.out, "--database" in ran.err, ran.err.count("\n")) == (2, "", True, 1)
    assert not (kvot.folder / "b.gz").exists()
    monkeypatch.setenv("KVOT_DATABASE", "sqlite:///kvot.db")
    assert kvot.bare(*words).code == 0
    monkeypatch.delenv("KVOT_DATABASE")
    config = kvot.file("kvot.toml", 'database = "sqlite:///./kvot.db"')
    (kvot.folder / "b.gz").unlink(missing_ok=True)
    assert kvot.bare(*words, "--config", config).code == 0


def test_the_list_of_commands_says_what_each_does(kvot):
    out = kvot.bare("--help").out
    for command in COMMANDS:
        line = next(line for line in out.splitlines() if line.startswith(f"│ {command[0]} "))
        assert len(line.strip("│ ").split()) > 3, line


def test_the_version_is_the_package_s(kvot):
    assert kvot.bare("--version") == (0, f"{__version__}\n", "")


# What is said, the exit code, and what the message must name.
MISUSE = [
    (("usge",), 2, "usge"),
    (("usage", "--nonsense"), 2, "--nonsense"),
    (("usage", "--window-days", "many"), 2, "window-days"),
    (("usage", "--company", "acme"), 2, "acme"),
    (("usage", "--company", ACME, "--at", "yesterday"), 2, "yesterday"),
    (("record", "--company", ACME), 2, "tokens"),
    (("events",), 2, "company"),
    (("events", "--company", "acme"), 2, "acme"),
    (("events", "--company", ACME, "--until", "yesterday"), 2, "yesterday"),
    (("events", "--company", ACME, "--limit", "0"), 2, "--limit 0"),
    (("events", "--company", ACME, "--limit", "10001"), 2, "10,000"),
    (("events", "--company", ACME, "--url", "http://127.0.0.1:1"), 2, "not through a server"),
    (("events", "--company", ACME, "--database", "missing.db"), 1, "missing.db does not exist"),
    (("backup", "nowhere/b.gz"), 2, "there is no folder nowhere. Make the folder first"),
    (("import",), 2, "FILES"),
    (("import", "x.csv", "--map", "at"), 2, "field=column"),
    (("import", "x.csv", "--map", "colour=red"), 2, "colour"),
    (("import", "missing.csv"), 1, "missing.csv"),
    (("import", "missing.csv", "--at", "soon"), 2, "--at soon"),
    (("usage", "--database", "a.db", "--url", "http://x"), 2, "--url"),
    (("usage", "--database", "mysql://x"), 2, "sqlite"),
    (("usage", "--database", "postgresql://u:p@h:99999/d"), 2, "--database: must be an address whose port"),
    (("migrate", "--database", "postgresql://u:p@h:99999/d"), 2, "--database: must be an address whose port"),
    (("copy", "--from", "a.db", "--to", "postgresql://u:p@h:x/d"), 2, "--to: must be an address whose port"),
    (("usage", "--company", ACME), 1, "does not exist"),
    (("usage", "--company", ACME, "--url", "http://127.0.0.1:9"), 1, "cannot be reached"),
]


@pytest.mark.parametrize(("arguments", "code", "word"), MISUSE)
def test_what_cannot_be_done_is_told_on_standard_error_without_a_stack(kvot, arguments, code, word):
    ran = kvot.bare(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert word in ran.err
    assert "Traceback" not in ran.err


def test_with_json_a_failure_is_the_one_document(kvot):
    ran = kvot.bare("usage", "--company", ACME, "--json")
    assert ran.code == 1
    assert ran.document["responseStatus"]["errorCode"] == "StoreUnavailable"
    assert ran.err == ""


def test_an_unknown_setting_is_named(kvot, monkeypatch):
    monkeypatch.setenv("KVOT_DATABSE", "x")
    ran = kvot.bare("usage", "--company", ACME)
    assert ran.code == 2
    assert "KVOT_DATABSE" in ran.err


def test_help_loads_no_server():
    program = "import sys, kvot.cli; kvot.cli.main(['usage', '--help']); print(*sys.modules)"
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, text=True, capture_output=True, check=True)
    assert "kvot.cli.usage" in ran.stdout.split()
    assert not {"uvicorn", "uvloop", "apsw", "httpx2", "joserfc", "kvot.http.app"} & set(ran.stdout.split())
