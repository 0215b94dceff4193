"""The fields of multipart forms."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.wire import multipart
from kvot.wire.document import Malformed

TYPE = "multipart/form-data; boundary=B"


def part(name, value, more=""):
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("--B--\r\n", []),
        ("--B--", []),
        (part("a", "1") + "--B--\r\n", [("a", "1")]),
        ("preamble\r\n" + part("a", "1") + part("a", "2") + "--B--\r\nepilogue", [("a", "1"), ("a", "2")]),
        (part("a", "å\r\n\r\n--x") + "--B--", [("a", "å\r\n\r\n--x")]),
        (part("a", "") + "--B--", [("a", "")]),
        (part("f", "x", '; filename="a.txt"') + part("b", "2") + "--B--", [("b", "2")]),
        ("--B \r\ncontent-disposition:form-data;name=a\r\ncontent-type: text/plain\r\n\r\n1\r\n--B--", [("a", "1")]),
    ],
)
def test_fields_are_read_and_files_skipped(body, fields):
    assert multipart.read(body.encode(), TYPE, 10) == fields


def test_a_boundary_may_be_quoted():
    assert multipart.read(part("a", "1").encode() + b"--B--", 'multipart/form-data; boundary="B"', 10) == [("a", "1")]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"x", "multipart/form-data", "The boundary of its parts is not stated."),
        (b"", TYPE, "The last boundary is missing."),
        (part("a", "1").encode(), TYPE, "The last boundary is missing."),
        (b"--Bx\r\n", TYPE, "A boundary does not end its line."),
        (b"--B\r\n\r\n1\r\n--B--", TYPE, "A part has no name."),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--", TYPE, "A part has no name."),
        (b"--B\r\nx\r\n--B--", TYPE, "The headers of a part do not end."),
        (b"--B\r\nx: " + b"y" * 3_000 + b"\r\n\r\n1\r\n--B--", TYPE, "The headers of a part do not end."),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--B--', TYPE, "It is not UTF-8: byte 0 cannot be read."),  # noqa: E501
        (part("a", "1").encode() * 11 + b"--B--", TYPE, "It has more than 10 parts."),
    ],
)  # fmt: skip
def test_a_broken_form_is_refused_with_the_reason(body, content_type, message):
    with pytest.raises(Malformed) as refused:
        multipart.read(body, content_type, 10)
    assert str(refused.value) == message


@given(st.binary() | st.lists(st.sampled_from([b"--B", b"\r\n", b"--", b"a", b": ", b"name="])).map(b"".join))
def test_no_form_does_more_than_be_refused(body):
    with suppress(Malformed):
        multipart.read(body, TYPE, 10)
