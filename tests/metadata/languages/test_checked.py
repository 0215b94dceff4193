"""docs/internals/languages.md says of every language how it is checked, and of every option why it is not offered."""

import re
from pathlib import Path

from kvot.metadata.languages import LANGUAGES
from kvot.metadata.options import COMMON, ORDER

HERE = Path(__file__).parent
TEXT = (HERE.parents[2] / "docs" / "internals" / "languages.md").read_text(encoding="utf-8")
PROVED_IN = {"mjs": "javascript", "js": "javascript", "typescript.d": "typescript"}


def test_every_language_has_a_row_and_no_other_has():
    assert re.findall(r"^\| `([\w.]+)` \|", TEXT.partition("## Options")[0], re.MULTILINE) == list(LANGUAGES)


def test_every_language_has_tests_of_its_own():
    for key in LANGUAGES:
        assert (HERE / f"test_{PROVED_IN.get(key, key)}.py").is_file(), key


def test_every_option_of_the_contract_is_offered_or_explained():
    offered = {*COMMON, *(name for language in LANGUAGES.values() for name in language.options)}
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT.partition("## Options")[2], re.MULTILINE))
    assert explained == set(ORDER) - offered
