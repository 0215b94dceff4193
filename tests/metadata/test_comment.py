"""Text of the contract cannot leave the comment that it stands in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.metadata.comment import in_block, in_line


@pytest.mark.parametrize(
    ("text", "line", "block"),
    [
        ("Plain text.", "Plain text.", "Plain text."),
        ("two\r\nlines\n", "two lines", "two lines"),
        ("a\u2028b\x85c\x00d\u202ee", "a b c d e", "a b c d e"),
        ("a */ b", "a */ b", "a * / b"),
        ("a /* b", "a /* b", "a / * b"),
        ("*/*", "*/*", "* / *"),
    ],
)
def test_comments_stay_comments(text, line, block):
    assert (in_line(text), in_block(text)) == (line, block)


@given(st.text(alphabet=st.one_of(st.sampled_from("*/\n\r\0 "), st.characters()), max_size=40))
def test_nothing_ends_or_begins_a_block(text):
    inside = in_block(text)
    assert "*/" not in inside
    assert "/*" not in inside
    assert len(inside.splitlines()) <= 1
