"""scripts/setup with an interpreter that only writes down what it is asked: when is .venv made, of what?"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Answers what setup asks of a Python; `-m venv` leaves a copy of it behind, as the real one would.
INTERPRETER = """#!/bin/sh
[ "$1" = -c ] || echo "$*" >> "$SETUP_LOG"
case "$*" in
    *'version_info < '*) exit "${TOO_OLD-0}" ;;
    *'import ensurepip'*) exit "${NO_ENSUREPIP-0}" ;;
    *'sys.base_prefix'*) echo 3.11.9 here ;;
    *'"%d.%d"'*) echo 3.11 ;;
    '-m venv .venv') mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *pip*install*) exit "${NO_NETWORK-0}" ;;
esac
"""


@dataclass
class Checkout:
    """A folder with what setup reads, on a PATH where the interpreter above is the only Python."""

    folder: Path
    bin: Path

    def setup(self, kind: str, **environment: str) -> list[str]:
        """What the interpreter was asked to do."""
        log = self.bin / "log"
        log.write_text("")
        self.attempt(kind, SETUP_LOG=str(log), **environment).check_returncode()
        return log.read_text().splitlines()

    def attempt(self, kind: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "SETUP_LOG": os.devnull, **environment}
        command = [str(self.folder / "scripts/setup"), kind]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def command(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "a checkout", tmp_path / "bin")
    made.bin.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        made.command(name, INTERPRETER)
    for name in ("scripts/setup", "requirements/run.txt", "requirements/dev.txt", "pyproject.toml"):
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.folder / name)
    return made


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_first_setup_makes_a_venv_and_installs_by_hash_then_the_project_alone(checkout: Checkout):
    venv, locked, project = checkout.setup("run")
    assert venv == "-m venv .venv"
    assert locked.endswith("--require-hashes --only-binary :all: --requirement requirements/run.txt")
    assert project.endswith("--no-deps --no-build-isolation --editable .")


@pytest.mark.parametrize(("first", "second"), [("run", "run"), ("dev", "dev"), ("dev", "run")])
def test_a_second_setup_does_nothing(checkout: Checkout, first: str, second: str):
    checkout.setup(first)
    assert checkout.setup(second) == []


def test_the_development_set_is_added_to_the_run_set(checkout: Checkout):
    checkout.setup("run")
    (added,) = checkout.setup("dev")
    assert added.endswith("--requirement requirements/dev.txt")


def test_a_change_in_pyproject_installs_the_project_alone(checkout: Checkout):
    checkout.setup("run")
    append(checkout.folder / "pyproject.toml", "# changed\n")
    (project,) = checkout.setup("run")
    assert project.endswith("--editable .")


def test_a_change_in_a_lock_makes_the_venv_anew(checkout: Checkout):
    checkout.setup("dev")
    append(checkout.folder / "requirements/run.txt", "# changed\n")
    assert checkout.setup("dev")[0] == "-m venv .venv"


def test_a_moved_checkout_makes_the_venv_anew(checkout: Checkout):
    checkout.setup("run")
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    assert checkout.setup("run")[0] == "-m venv .venv"


@pytest.mark.parametrize("kind", ["run", "dev"])
def test_an_interrupted_setup_makes_the_venv_anew(checkout: Checkout, kind: str):
    assert checkout.attempt(kind, NO_NETWORK="1").returncode == 1
    assert checkout.setup(kind)[0] == "-m venv .venv"


@pytest.mark.parametrize("kind", ["run", "dev"])
def test_an_interrupted_addition_makes_the_venv_anew(checkout: Checkout, kind: str):
    checkout.setup("run")
    assert checkout.attempt("dev", NO_NETWORK="1").returncode == 1
    assert checkout.setup(kind)[0] == "-m venv .venv"


def test_a_venv_whose_interpreter_is_gone_is_made_anew(checkout: Checkout):
    checkout.setup("run")
    (checkout.folder / ".venv/bin/python").unlink()
    assert checkout.setup("run")[0] == "-m venv .venv"


def test_another_interpreter_makes_the_venv_anew(checkout: Checkout):
    checkout.setup("run")
    checkout.command("other", INTERPRETER.replace("3.11.9 here", "3.12.1 there"))
    assert checkout.setup("run", PYTHON="other")[0] == "-m venv .venv"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TOO_OLD": "1"}, "needs Python 3.11 or newer."),
        ({"TOO_OLD": "1", "PYTHON": "python3.12"}, "which python3.12 is not"),
        ({"PYTHON": "no such python"}, "which no such python is not"),
        ({"NO_NETWORK": "1"}, "Is the network up?"),
        ({"NO_ENSUREPIP": "1"}, "Run: sudo apt-get install python3.11-venv"),
    ],
)
def test_what_is_missing_is_said(checkout: Checkout, environment: dict[str, str], said: str):
    checkout.command("apt-get", "#!/bin/sh\nexit 1\n")
    checkout.command("id", "#!/bin/sh\necho 1000\n")
    attempt = checkout.attempt("run", **environment)
    assert attempt.returncode == 1
    assert said in attempt.stderr


def test_as_root_the_missing_module_is_installed(checkout: Checkout, tmp_path: Path):
    checkout.command("id", "#!/bin/sh\necho 0\n")
    checkout.command("apt-get", f'#!/bin/sh\ncase "$*" in *install*) echo "$*" > "{tmp_path}/asked" ;; esac\n')
    attempt = checkout.attempt("run", NO_ENSUREPIP="1")
    assert (tmp_path / "asked").read_text().endswith("python3.11-venv\n")
    assert "still cannot make a virtual environment" in attempt.stderr
