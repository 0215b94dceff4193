"""The law of reading a table: many lines at once, and the same rows and refusals come of it as line by line."""

from hypothesis import example, given
from hypothesis import strategies as st

from kvot.cli.files.lines import Block
from kvot.cli.files.tables import Table

lines = st.lists(st.text(st.sampled_from(["a", "1", ",", ",", ";", "\r", '"', " "]), max_size=6), max_size=5)


@given(st.sampled_from(["a", "a,b", "a;b;c"]), lines)
@example("a,b", ["1,2\r", "3,4\r"])
@example("a,b", ["1,2,3", "4"])
@example("a,b", ["1,2", "", "3,4"])
@example("a", ["1", "", "2"])
def test_lines_read_at_once_are_as_if_read_one_by_one(header, texts):
    table = Table(header)
    table.columns = {name: index for index, name in enumerate(table.header)}
    block = Block(range(2, 2 + len(texts)), texts)
    at_once, one_by_one = table.read(block), table._line_by_line(block)
    assert list(at_once.numbers) == list(one_by_one.numbers)
    assert at_once.refusals == one_by_one.refusals
    assert {name: list(each) for name, each in at_once.columns.items()} == one_by_one.columns
