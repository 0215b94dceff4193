"""Headers as a mapping."""

import pytest

from kvot.core.errors import InvalidRequest
from kvot.http.headers import read_headers


def test_repeated_headers_are_joined():
    pairs = [(b"accept", b"a"), (b"host", b"h"), (b"accept", b"b")]
    assert read_headers(pairs) == {b"accept": b"a, b", b"host": b"h"}


@pytest.mark.parametrize(
    "name", [b"authorization", b"x-api-key", b"x-goog-api-key", b"idempotency-key", b"content-type"]
)
def test_headers_that_may_come_once_may_not_repeat(name):
    with pytest.raises(InvalidRequest, match=name.decode()):
        read_headers([(name, b"a"), (name, b"a")])
