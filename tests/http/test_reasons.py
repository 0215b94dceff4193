"""The reason beside a status."""

import pytest

from kvot.http.reasons import LENGTH_MAX, harmless


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("Not Authenticated", b"Not Authenticated"),
        ("", b""),
        ("a\r\nset-cookie: b", b"a??set-cookie: b"),
        ("för\x00\x7f", b"f?r??"),
        ("x" * 1_000, b"x" * LENGTH_MAX),
    ],
)
def test_nothing_in_it_can_end_the_line(reason, written):
    assert harmless(reason) == written
