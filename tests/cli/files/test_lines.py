import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.cli.files import lines
from kvot.cli.files.lines import read_blocks


def read(content, block_bytes):
    original = lines.BLOCK_BYTES
    lines.BLOCK_BYTES = block_bytes
    try:
        blocks = list(read_blocks(io.BytesIO(content)))
    finally:
        lines.BLOCK_BYTES = original
    numbered = [pair for block in blocks for pair in zip(block.numbers, block.lines, strict=True)]
    return numbered, [(each.position, each.code) for block in blocks for each in block.refusals]


@given(st.lists(st.text(st.characters(exclude_characters="\n\ufeff", codec="utf-8"), max_size=5)), st.integers(1, 9))
def test_every_cutting_into_blocks_gives_the_same_lines(texts, block_bytes):
    numbered, refusals = read("\n".join(texts).encode(), block_bytes)
    expected = list(enumerate(texts, 1))
    if texts and not texts[-1]:
        expected.pop()  # what follows the last line's end is no line
    assert ([pair for pair in numbered if pair in expected], refusals) == (expected, [])
    assert [text for _, text in numbered if text] == [text for text in texts if text]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 100])
def test_a_line_that_is_not_utf_8_is_refused_and_its_neighbours_are_not(block_bytes):
    numbered, refusals = read(b"one\n\xff\xfe\nthree\n", block_bytes)
    assert [pair for pair in numbered if pair[1]] == [(1, "one"), (3, "three")]
    assert refusals == [(2, "InvalidUtf8")]


@pytest.mark.parametrize("length", [65_537, 262_145, 1_000_000])
@pytest.mark.parametrize("block_bytes", [1_000, 100_000, 2_000_000])
def test_a_line_without_end_is_refused_whole_and_never_kept(length, block_bytes):
    numbered, refusals = read(b"one\n" + b"x" * length + b"\nthree\n" + b"y" * length, block_bytes)
    assert [pair for pair in numbered if pair[1]] == [(1, "one"), (3, "three")]
    assert refusals == [(2, "LineTooLong"), (4, "LineTooLong")]
