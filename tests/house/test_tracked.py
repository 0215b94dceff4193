"""What may lie in the repository: no path of one machine, no registry's address, no unhashed requirement."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import kvot

ROOT = Path(__file__).parents[2]

LOCKS = ("requirements/run.txt", "requirements/dev.txt")

# Written so that no pattern matches its own text.
REGISTRY = re.compile(
    r"pypi[.]org|pypi[.]python|python[h]osted|npmjs[.]|yarnpkg[.]|crates[.]io|proxy[.]golang|rubygems[.]"
    r"|\b(?:registry|artifactory|nexus)[.]\w+[.]\w+"
    r"|--(?:extra-)?index-url[ =]|--find-links[ =]|^\s*(?:extra-)?index-url\s*=",
    re.IGNORECASE | re.MULTILINE,
)
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:work|root|opt/pypi|Users/\w+|home/\w+)/\w")
REQUIREMENT = re.compile(r"[\w.-]+==[\w.]+(?: ; [^\\]+?)?(?: +--hash=sha256:[0-9a-f]{64})+ *")


def tracked_paths() -> list[Path]:
    """Every file that is in the repository or about to be: tracked, or new and not ignored."""
    # safe.directory: a checkout that belongs to somebody else, as in a container, is fine to read.
    git = ["git", "-c", "safe.directory=*"]
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not a git checkout: {error}")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_texts() -> dict[str, str]:
    """Contents by path; what is not UTF-8 is no text."""
    texts = {}
    for path in tracked_paths():
        try:
            texts[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def unhashed(lock: str) -> list[str]:
    """The requirements of a lock file that are not pinned by == and at least one whole SHA-256."""
    lines = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    requirements = "\n".join(lines).replace("\\\n", "").splitlines()
    return [each for each in requirements if not REQUIREMENT.fullmatch(each)]


def matches(pattern: re.Pattern[str]) -> list[str]:
    return [f"{name}: {match[0]!r}" for name, text in tracked_texts().items() for match in pattern.finditer(text)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name: str):
    lock = (ROOT / name).read_text()
    assert lock.count("==") > 20
    assert unhashed(lock) == []


def test_the_development_set_holds_the_run_set():
    run, dev = (set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS)
    assert run < dev


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_covers_what_pyproject_asks_for(name: str):
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(), re.MULTILINE))
    assert {re.split(r"[<>=~! \[]", each)[0] for each in asked} <= pinned


@pytest.mark.parametrize(
    "lock",
    [
        "attrs==26.1.0\n",
        "attrs>=26 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "attrs==26.1.0 \\\n    --hash=sha256:abc\n",
        "good==1 \\\n    --hash=sha256:" + "0" * 64 + "\nbad==1 ; sys_platform == 'linux'\n    # via good\n",
        "kvot @ file:///tmp/kvot\n",
    ],
)
def test_a_requirement_without_pin_or_hash_is_found(lock: str):
    assert unhashed(lock)


def test_no_text_names_a_registry():
    assert matches(REGISTRY) == []


def test_no_text_names_a_path_of_one_machine():
    assert matches(MACHINE_PATH) == []


@pytest.mark.parametrize(
    "parts",
    [
        ("https://pypi", ".org/x"),
        ("files.python", "hosted.org"),
        ("registry", ".x.com"),
        ("--index", "-url x"),
    ],
)
def test_a_registry_is_recognised(parts: tuple[str, str]):
    assert REGISTRY.search("".join(parts))


@pytest.mark.parametrize("folder", ["work", "root", "home/ann", "Users/ann"])
def test_a_path_of_one_machine_is_recognised(folder: str):
    assert MACHINE_PATH.search(f"cd /{folder}/kvot")


@pytest.mark.parametrize(
    "text", ["https://example.com/work/7", "./work/x", "~/home/ann/x", "GET /assistant/ai-chat/usage"]
)
def test_a_path_of_the_web_is_none_of_one_machine(text: str):
    assert not MACHINE_PATH.search(text)


def test_nothing_runs_at_interpreter_start():
    names = {path.name for path in tracked_paths()}
    assert not [name for name in names if name.endswith(".pth")]
    assert not names & {"sitecustomize.py", "usercustomize.py"}


def test_no_database_key_or_foreign_lock_is_in_the_repository():
    suffixes = (
        ".db",
        ".sqlite",
        ".sqlite3",
        ".pem",
        ".key",
        "kvot.secret",
        "uv.lock",
        "poetry.lock",
        "package-lock.json",
    )
    assert not [path.name for path in tracked_paths() if path.name.endswith(suffixes)]


def test_version_is_the_same_wherever_it_stands():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == kvot.__version__


def test_scripts_can_be_run():
    scripts = [ROOT / ".ci/run", *(ROOT / "scripts").iterdir()]
    assert [path.name for path in scripts if not os.access(path, os.X_OK)] == []
