"""docs/reference/errors.md and what the source can raise say the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kvot.core.faults import MESSAGES as RULES
from kvot.http.errors import STATUSES
from kvot.operations.refusals import MESSAGES as REFUSALS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
SOURCES = [path for path in (ROOT / "src/kvot").rglob("*.py") if ROOT / "src/kvot/cli" not in path.parents]

CODE_IS_SECOND = {"FieldError", "fault"}
NEVER_TOLD = {"KvotError", "DamagedBackup", "CannotListen"}
"""Only what is derived from the first is raised; only the command line reads backups and starts servers."""


def codes_of(source: str) -> Iterator[str]:
    """Codes that stand in calls that make errors, by value or by the name of a constant in the same module."""
    tree = ast.parse(source)
    constants = {
        each.targets[0].id: each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            second = node.args[1:2] if name in CODE_IS_SECOND else []
            for given in [*second, *(each.value for each in node.keywords if each.arg == "code")]:
                found = constants.get(given.id, given) if isinstance(given, ast.Name) else given
                if isinstance(found, ast.Constant) and isinstance(found.value, str):
                    yield found.value


def test_every_error_stands_on_the_page_with_its_status():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", PAGE, re.MULTILINE)
    on_page = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    expected = {(status, error.code) for error, status in STATUSES.items() if error.code not in NEVER_TOLD}
    assert expected <= on_page


def test_every_code_that_the_source_can_raise_stands_on_the_page():
    raised = {code for path in SOURCES for code in codes_of(path.read_text(encoding="utf-8"))}
    assert {"Cidr", "HoldClosed", "NotSupportedException", "SerializationException"} <= raised
    codes = raised | RULES.keys() | {code for code, _ in REFUSALS.values()} | {"InternalServerError"}
    assert sorted(code for code in codes - NEVER_TOLD if f"`{code}`" not in PAGE) == []
