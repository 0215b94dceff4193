"""Reading a body within its bound, event by event."""

import pytest

from kvot.core.errors import InvalidRequest, RequestTooLarge
from kvot.http.limits import ClientGone, Limits, has_body, idempotency_key, read_body

LIMITS = Limits(max_body_bytes=10)


def receive_of(*parts, last="http.request"):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if last == "http.disconnect":
        messages.append({"type": last})
    else:
        messages[-1]["more_body"] = False
    queue = iter(messages)

    async def receive():
        return next(queue)

    return receive


@pytest.mark.parametrize("parts", [[b"0123456789"], [b"01234", b"56789"], [b"", b"0123456789", b""]])
async def test_a_body_is_put_together(parts):
    assert await read_body(receive_of(*parts), {}, LIMITS) == b"0123456789"


@pytest.mark.parametrize("parts", [[b"0123456789x"], [b"01234", b"56789x", b"never read"]])
async def test_a_body_without_a_length_is_bounded(parts):
    with pytest.raises(RequestTooLarge):
        await read_body(receive_of(*parts), {}, LIMITS)


async def test_a_length_beyond_the_bound_is_refused_unread():
    async def receive():
        raise AssertionError("the body was read")

    with pytest.raises(RequestTooLarge):
        await read_body(receive, {b"content-length": b"11"}, LIMITS)


@pytest.mark.parametrize("parts", [[], [b"0123"]])
async def test_a_client_that_leaves_is_nobody_to_answer(parts):
    with pytest.raises(ClientGone):
        await read_body(receive_of(*parts, last="http.disconnect"), {}, LIMITS)


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"br", b"identity, gzip"])
async def test_a_compressed_body_is_refused_unread(coding):
    with pytest.raises(InvalidRequest):
        await read_body(receive_of(b"x"), {b"content-encoding": coding}, LIMITS)


async def test_identity_is_no_compression():
    assert await read_body(receive_of(b"x"), {b"content-encoding": b"Identity"}, LIMITS) == b"x"


@pytest.mark.parametrize(
    ("headers", "has"),
    [
        ({}, False),
        ({b"content-length": b"0"}, False),
        ({b"content-length": b"1"}, True),
        ({b"transfer-encoding": b"chunked"}, True),
    ],
)
def test_whether_there_is_a_body_is_known_from_the_headers(headers, has):
    assert has_body(headers) is has


@pytest.mark.parametrize("value", [b"k", b"!~", b"x" * 255])
def test_an_idempotency_key_is_visible_ascii(value):
    assert idempotency_key({b"idempotency-key": value}) == value.decode()


@pytest.mark.parametrize("value", [b"", b" ", b"a b", b"\x7f", b"\xe5", b"x" * 256])
def test_what_is_no_idempotency_key_is_refused(value):
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        idempotency_key({b"idempotency-key": value})


def test_most_requests_have_none():
    assert idempotency_key({}) is None
