"""Standard output as it may be: closed, on a full disk, or of few letters. One line is said of it at most."""

import subprocess
import sys

import pytest

from kvot.core.model import NewHold
from tests.cli.support import ACME, SRC
from tests.cli.test_holds import hold

LISTING = ("holds", "list", "--company", ACME, "--database", "kvot.db")


def shell(kvot, words, redirected, **environment):
    command = f"{sys.executable} -m kvot.cli {' '.join(words)} {redirected}"
    own = {"PYTHONPATH": str(SRC)} | environment
    return subprocess.run(["sh", "-c", command], cwd=kvot.folder, env=own, capture_output=True, check=False)


@pytest.fixture
def filled(kvot):
    hold(kvot, NewHold("one", 5, 600_000, dispatched=True, model="日本é", user="jürgen"))
    return kvot


@pytest.mark.parametrize("words", [LISTING, (*LISTING, "--json"), ("--version",), ("usage", "--json")])
@pytest.mark.parametrize(
    ("redirected", "said"), [(">&-", b"Standard output is closed"), (">/dev/full", b"No space left on device")]
)
def test_where_nothing_can_be_printed_one_line_says_so(filled, words, redirected, said):
    ran = shell(filled, words, redirected)
    assert (ran.returncode, ran.stderr.count(b"\n"), said in ran.stderr) == (1, 1, True), ran.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>&- <&-"])
def test_nobody_has_to_listen_to_the_rest(filled, closed):
    ran = shell(filled, ("backup", "b.gz", "--database", "kvot.db"), closed)
    assert (ran.returncode, (filled.folder / "b.gz").exists()) == (0, True), ran.stderr


@pytest.mark.parametrize(("encoding", "model"), [("ascii", b"???"), ("latin-1", b"??\xe9")])
def test_a_letter_that_a_terminal_does_not_have_hides_no_hold(filled, encoding, model):
    ran = shell(filled, LISTING, "", PYTHONIOENCODING=encoding)
    assert (ran.returncode, b" open   " + model + b"  " in ran.stdout) == (0, True), ran.stderr
