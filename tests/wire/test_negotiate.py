"""Which format a reply has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import InvalidRequest
from kvot.wire import negotiate
from kvot.wire.formats import FORMATS
from kvot.wire.negotiate import accepted, asks_for_problem, named


@pytest.mark.parametrize(
    ("accept", "key"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/json", "json"),
        ("APPLICATION/JSON", "json"),
        ("text/jsv", "jsv"),
        ("application/jsv", "jsv"),
        ("application/x-jsv", "jsv"),
        ("Text/JSV; q=0.3", "jsv"),
        ("application/json, text/jsv", "json"),
        ("text/jsv, application/json", "jsv"),
        ("text/jsv;q=0.5, application/json", "json"),
        ("application/json;q=0.5,text/jsv;q=0.9", "jsv"),
        ("application/json;q=0.5,text/jsv;q=0.900;level=1", "jsv"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("application/json;q=0, */*", "html"),
        ("application/json;q=0, text/html;q=0, */*", "xml"),
        ("application/json;q=0, text/html;q=0, application/xml;q=0, */*", "jsv"),
        ("text/json;q=0, text/*", "html"),
        ("application/*;q=0.5", "json"),
        ("application/json;q=0, application/*", "xml"),
        ("text/csv, application/xml", "csv"),
        ("application/json;q=0, text/jsv;q=0", "json"),
        ("*/*, text/jsv", "jsv"),
        ("text/*", "html"),
        ("text/*, application/json;q=0.5", "html"),
        ("text/*, text/json", "json"),
        ("text/html;q=0, text/*", "jsv"),
        ("text/*;q=0.5, text/jsv;q=0.4", "html"),
        ("image/png", "json"),
        ("text/jsonl", "jsonl"),
        ("application/json;charset=utf-8", "json"),
        ("text/jsv;q=nonsense, application/json;q=0.1", "json"),
        ("text/jsv;q=9", "json"),
        (",,;;q=", "json"),
    ],
)
def test_accept_decides(accept, key):
    assert accepted(None if accept is None else accept.encode()).key == key


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("application/json, text/plain, */*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/problem+json", True),
        ("Application/Problem+JSON; charset=utf-8", True),
        ("application/problem+json, */*", True),
        ("application/json, application/problem+json", True),
        ("application/json;q=0.9, application/problem+json", True),
        ("application/json, application/problem+json;q=0.9", False),
        ("*/*, application/problem+json;q=0.1", False),
        ("image/png, application/problem+json;q=0.1", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=0, application/json;q=0", False),
        ("application/problem+jsonp", False),
        ("application/x;a=application/problem+json", False),
    ],
)
def test_a_problem_is_written_only_for_who_names_it(accept, is_problem):
    assert asks_for_problem(None if accept is None else accept.encode()) is is_problem


def test_what_was_parsed_is_remembered_within_bounds():
    for number in range(2_000):
        accepted(b"text/jsv;n=%d" % number)
    accepted(b"text/jsv;" + b"x" * 5_000)
    assert len(negotiate._cached) <= 256
    assert max(map(len, negotiate._cached)) <= 512


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("json", "json"),
        ("JSON", "json"),
        ("jsv", "jsv"),
        ("jsonl", "jsonl"),
        ("x-msgpack", "msgpack"),
        ("x-jsv", "jsv"),
    ],
)
def test_a_format_is_found_by_its_key_or_its_tail(key, found):
    assert named(key).key == found


@pytest.mark.parametrize("key", ["zzz", "x" * 10_000, "application/json"])
def test_an_unknown_format_is_the_callers_fault(key):
    with pytest.raises(InvalidRequest, match=r"is not known\. Known are: json, jsv, xml, ") as refused:
        named(key)
    assert len(refused.value.message) < 200


@given(st.binary() | st.text(st.sampled_from(list("*/,;q=01. textjsonhml"))).map(str.encode))
def test_any_accept_gives_a_format(accept):
    assert accepted(accept) in FORMATS.values()
