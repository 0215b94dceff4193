"""Compilers, parsers and clients that generated text is checked with. scripts/install-language-tools brings them.

A missing one skips its tests at a desk and fails them in CI, so that CI never checks less than it says.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[2] / "build" / "language-tools"
MODULES = INSTALLED / "node_modules"
SECONDS_MAX = 120
"""A compiler that takes longer than this hangs."""


def program(name: str) -> str:
    """The path of a program: one of ours, or one of the system's."""
    for path in (INSTALLED / "python" / "bin" / name, MODULES / ".bin" / name, shutil.which(name)):
        if path and Path(path).exists():
            return str(path)
    return missing(name)


def client_modules() -> Path:
    """Where npm put the official client."""
    return MODULES if (MODULES / "@servicestack" / "client").exists() else Path(missing("@servicestack/client"))


def python() -> str:
    """The interpreter that has PyPI's packages; the one that runs the tests does not."""
    path = INSTALLED / "python" / "bin" / "python"
    return str(path) if path.exists() else missing("the interpreter with PyPI's servicestack")


def missing(name: str) -> str:
    reason = f"{name} is not installed: scripts/install-language-tools"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(*command: str | Path, cwd: Path) -> str:
    """What the program writes. It must succeed."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS_MAX, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
