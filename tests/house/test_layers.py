"""The import contracts see what they are there to see: each planted import breaks the one that forbids it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = """
    __main__ cli mcp bootstrap http gateway dashboard metadata operations stores client telemetry
    core contract wire settings
    metadata/languages gateway/metering gateway/providers gateway/upstream
"""

# (the room, what it may not import)
FAULTS = [
    ("core", "kvot.operations"),
    ("core", "kvot.wire"),
    ("stores", "kvot.operations"),
    ("http", "kvot.bootstrap"),
    ("metadata", "kvot.gateway"),
    ("core", "time"),
    ("core", "msgspec"),
    ("wire", "os"),
    ("contract", "asyncio"),
    ("gateway/metering", "httpx2"),
    ("gateway/metering", "threading"),
    ("gateway/providers", "socket"),
    ("gateway/upstream", "splintr"),
    ("metadata/languages", "pathlib"),
]

# import-linter finds the package on the path, where the house must come before the installed Kvot.
LINT = "import sys, importlinter.cli as cli; sys.path.insert(0, '.'); cli.lint_imports_command()"


def build_house(folder: Path) -> Path:
    """Every room of the architecture, empty, under the contracts of pyproject.toml."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for room in ["", *ROOMS.split()]:
        (folder / "kvot" / room).mkdir(parents=True, exist_ok=True)
        (folder / "kvot" / room / "__init__.py").touch()
    return folder


def verdict(house: Path) -> str:
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ("0 broken" in done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def verdict_on_faults(tmp_path_factory: pytest.TempPathFactory) -> str:
    house = build_house(tmp_path_factory.mktemp("house"))
    for room, planted in FAULTS:
        with (house / "kvot" / room / "__init__.py").open("a") as module:
            module.write(f"import {planted}\n")
    return verdict(house)


@pytest.mark.parametrize(("room", "planted"), FAULTS)
def test_a_planted_import_is_found(verdict_on_faults: str, room: str, planted: str):
    assert f"kvot.{room.replace('/', '.')} is not allowed to import {planted}:" in verdict_on_faults


def test_rooms_that_keep_to_their_place_pass(tmp_path: Path):
    house = build_house(tmp_path)
    (house / "kvot/gateway/upstream/__init__.py").write_text("import httpx2, time, kvot.gateway.metering, kvot.core\n")
    assert "4 kept, 0 broken" in verdict(house)


def test_a_room_that_no_layer_names_is_found(tmp_path: Path):
    house = build_house(tmp_path)
    (house / "kvot/annex.py").touch()
    assert "annex" in verdict(house)
