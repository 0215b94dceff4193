"""The style of src/kvot, held by a test; and proof that each check sees what it is there to see."""

from pathlib import Path

import pytest

from tests.house import tidy

PACKAGE = Path(__file__).parents[2] / "src" / "kvot"

MODULES = [
    tidy.Module(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
]

# The ratchet: what each check still tolerates, as "path complaint". It only ever shrinks: a finding that is
# not listed fails, and so does a line that no longer finds anything.
TOLERATED: dict[tidy.Check, set[str]] = {check: set() for check in tidy.CHECKS}

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 60


@pytest.mark.parametrize("check", tidy.CHECKS, ids=lambda check: check.__name__)
def test_the_tree_is_tidy(check: tidy.Check):
    findings = [finding for module in MODULES for finding in check(module)]
    untold = [str(each) for each in findings if f"{each.path} {each.complaint}" not in TOLERATED[check]]
    mended = TOLERATED[check] - {f"{each.path} {each.complaint}" for each in findings}
    assert not untold, "\n".join(untold)
    assert not mended, f"mended, so take it off the list: {mended}"


def test_there_is_a_tree_to_look_at():
    assert "__init__.py" in {module.path for module in MODULES}


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (tidy.long_modules, "wire/json.py", "x = 1\n" * 601),
        (tidy.long_functions, "wire/json.py", LONG_FUNCTION),
        (
            tidy.long_functions,
            "wire/json.py",
            "class C:\n" + LONG_FUNCTION.replace("\n", "\n  ").replace("def", "  async def", 1),
        ),
        (tidy.empty_names, "wire/utils.py", ""),
        (tidy.empty_names, "stores/manager/sqlite.py", ""),
        (tidy.empty_names, "core/_common.py", ""),
        (tidy.broad_catches, "wire/json.py", "try: f()\nexcept Exception: pass"),
        (
            tidy.broad_catches,
            "wire/json.py",
            "try: f()\nexcept (ValueError, BaseException) as e: raise KeyError from e",
        ),
        (tidy.broad_catches, "wire/json.py", "try: f()\nexcept: pass"),
        (tidy.prints, "http/app.py", "def f(): print(1)"),
        (tidy.rival_words, "core/model.py", "tenant_id = 1"),
        (tidy.rival_words, "core/model.py", "class QuotaExceeded: ..."),
        (tidy.rival_words, "core/model.py", "def f(reservation): ..."),
        (tidy.rival_words, "core/model.py", "f(MAX_TENANTS=1)"),
        (tidy.foreign_core_imports, "core/model.py", "import msgspec"),
        (tidy.foreign_core_imports, "core/model.py", "def f():\n    from kvot.wire import json"),
    ],
)
def test_a_planted_fault_is_found(check: tidy.Check, path: str, source: str):
    assert list(check(tidy.Module(path, source)))


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (tidy.long_modules, "wire/json.py", "x = 1\n" * 600),
        (tidy.long_functions, "wire/json.py", LONG_FUNCTION.removesuffix("    x = 1\n")),
        (tidy.empty_names, "core/utility_bill.py", ""),
        (tidy.broad_catches, "http/app.py", "try: f()\nexcept Exception: pass"),
        (tidy.broad_catches, "wire/json.py", "try: f()\nexcept BaseException:\n    undo()\n    raise"),
        (tidy.broad_catches, "wire/json.py", "try: f()\nexcept ValueError: pass"),
        (tidy.prints, "cli/output.py", "print(1)"),
        (tidy.rival_words, "gateway/providers/openai.py", "codes = {'insufficient_quota': 429}"),
        (tidy.foreign_core_imports, "core/ledger.py", "from kvot.core.window import Window\nimport bisect"),
        (tidy.foreign_core_imports, "wire/json.py", "import msgspec"),
    ],
)
def test_what_is_in_order_passes(check: tidy.Check, path: str, source: str):
    assert not list(check(tidy.Module(path, source)))
