"""Replies to what never became a request. What they say over a socket stands in test_protocol."""

from hypothesis import given
from hypothesis import strategies as st

from kvot.contract import ROUTES
from kvot.http.early import HEAD_TOO_LARGE, Early
from kvot.http.table import Table
from kvot.wire.style import JsonCase, Style

EARLY = Early(Table(ROUTES), Style(JsonCase.PASCAL))
URLS = st.binary() | st.text(st.sampled_from(list("/apijsonxml.[]?=&%f{}"))).map(str.encode)
HEADERS = st.lists(st.tuples(st.sampled_from([b"accept", b"x"]), st.binary()))


@given(URLS, HEADERS)
def test_whatever_the_head_says_there_is_a_reply(url, headers):
    head, _, body = EARLY.reply(HEAD_TOO_LARGE, "GET", url, headers).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 RequestTooLarge\r\n")
    assert b"connection: close\r\ncontent-length: %d" % len(body) in head
    assert b"32768" in body


def test_names_follow_the_case_of_the_host():
    assert EARLY.reply(HEAD_TOO_LARGE).partition(b"\r\n\r\n")[2].startswith(b'{"ResponseStatus":{"ErrorCode":')
