"""docs/reference/errors.md and the table of errors say the same."""

import re
from pathlib import Path

from kvot.http.errors import STATUSES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"


def test_every_error_stands_on_the_page_with_its_status():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    on_page = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    expected = {(status, error.code) for error, status in STATUSES.items()} - {
        (500, "KvotError"),
        (400, "InvalidRequest"),
    }
    assert expected <= on_page
