"""The bounds of documents."""

import pytest

from kvot.wire.document import DEPTH_MAX, Malformed, check_bounds, text_of


def nested(levels):
    document: object = 1
    for _ in range(levels):
        document = {"a": document}
    return document


def test_depth_is_bounded():
    check_bounds(nested(DEPTH_MAX), 100)
    with pytest.raises(Malformed, match="nests more than 64 levels"):
        check_bounds(nested(DEPTH_MAX + 1), 100)


def test_members_are_counted_on_every_level():
    document = {"a": [1, 2], "b": {"c": 3}}
    check_bounds(document, 5)
    with pytest.raises(Malformed, match="more than 4 members"):
        check_bounds(document, 4)


def test_a_scalar_is_within_every_bound():
    check_bounds(1, 0)


def test_text_is_utf_8_with_or_without_its_mark():
    assert text_of("å".encode()) == text_of("\ufeffå".encode()) == "å"
