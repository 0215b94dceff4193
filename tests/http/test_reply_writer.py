"""A whole reply in one piece."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kvot.http.reply_writer import LENGTH_MAX, harmless, head, write


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
def test_nothing_in_a_reason_can_end_its_line(reason, written):
    assert harmless(reason) == written


def test_a_head_has_a_line_for_each_header():
    pairs = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
    assert head(404, None, pairs) == b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n"
    assert head(401, "Not Authenticated", pairs).startswith(b"HTTP/1.1 401 Not Authenticated\r\ncontent-type")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_with_a_line_break_is_never_written(value):
    with pytest.raises(RuntimeError):
        head(302, None, [(b"location", value)])


def test_nothing_is_written_for_a_client_that_leaves_while_it_reads_slowly():
    async def drain():
        cycle.disconnected = True

    flow = SimpleNamespace(write_paused=True, drain=drain)
    cycle = SimpleNamespace(disconnected=False, flow=flow)  # it would miss all that writing takes
    of_request: Any = lambda: cycle  # noqa: E731
    asyncio.run(write(of_request, 200, [], b"", None))
