"""JSON Lines as bodies."""

import pytest

from kvot.wire import jsonl


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
