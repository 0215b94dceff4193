"""What is generated is what was last read by a person."""

import pytest

from tests.metadata.golden import FOLDER, texts

TEXTS = dict(texts())


@pytest.mark.parametrize("name", TEXTS)
def test_generated_text_is_the_golden_text(name):
    assert TEXTS[name] == (FOLDER / name).read_text(encoding="utf-8"), "python -m tests.metadata.regenerate"


def test_no_golden_file_is_left_over():
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.txt")} == set(TEXTS)
