"""JSON Lines, written and read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.contract.keys import ApiKeyQueryResponse
from kvot.wire import json, jsonl
from kvot.wire.binding import struct_from
from kvot.wire.document import MEMBERS_MAX, Malformed
from kvot.wire.rows import rows_of
from kvot.wire.style import JsonCase, Style
from tests.wire.samples import RESPONSES, USAGE


@pytest.mark.parametrize("case", JsonCase)
def test_a_line_is_the_json_of_a_row(case):
    line = json.write(USAGE, Style(case)) + b"\n"
    assert jsonl.write(USAGE, Style(case)) == line
    assert jsonl.write([USAGE, USAGE], Style(case)) == line + line


def test_no_rows_are_no_lines():
    assert jsonl.write(ApiKeyQueryResponse(results=[]), Style()) == jsonl.write([], Style()) == b""


@given(RESPONSES)
def test_what_is_written_reads_as_itself(value):
    row_type, rows = rows_of(value)
    documents = jsonl.read(jsonl.write(value, Style()), MEMBERS_MAX)
    assert [struct_from(row_type, document) for document in documents] == rows


@pytest.mark.parametrize(
    ("body", "documents"),
    [
        (b"", []),
        (b"\n\r\n", []),
        (b'{"a":1}', [{"a": 1}]),
        (b'\xef\xbb\xbf{"a":1}\r\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\nnonsense\n\xff\n{"a":2}', [{"a": 1}, "nonsense", "\N{REPLACEMENT CHARACTER}", {"a": 2}]),
    ],
)
def test_each_line_is_a_document_or_stands_for_itself(body, documents):
    assert jsonl.read(body, 100) == documents


@given(st.binary() | st.text(st.sampled_from(list('{}[]",:\\a1 \r\n'))).map(str.encode))
def test_no_body_does_more_than_be_refused(body):
    with suppress(Malformed):
        jsonl.read(body, MEMBERS_MAX)
