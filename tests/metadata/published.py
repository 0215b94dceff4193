"""The one page of the original that is published, which ours must equal line by line. It lies beside the project."""

import os
from pathlib import Path

import pytest

from tests.metadata.visible import visible_text

SEEDS = tuple(parent / "shared" / "contract" / "seed.txt" for parent in Path(__file__).parents[3:5])


def published_lines() -> list[str]:
    """Without blanks at line ends. Where the page is missing the test is skipped at a desk and fails in CI."""
    for path in SEEDS:
        if path.exists():
            return _lines(path.read_text(encoding="utf-8"))
    reason = "the published page lies outside the repository: ../shared/contract/seed.txt"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def lines_of(html: str) -> list[str]:
    return _lines(visible_text(html))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]
