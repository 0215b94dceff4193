"""Who a request comes from behind proxies: what is believed, of whom, and what is not."""

import asyncio
from typing import Any

import pytest

from kvot.core.networks import parse_address
from kvot.http.forwarded import Forwarded
from tests.http.conftest import Server, make_app

PROXIES = ("10.0.0.0/8", "::1/128")


async def no_more() -> Any:
    raise AssertionError("nobody asks for the body")


def seen(peer: Any, *headers: tuple[bytes, bytes], trusted: tuple[str, ...] = PROXIES) -> tuple[Any, str]:
    """The address and the scheme that the application is told of."""
    scopes: list[Any] = []
    app = make_app()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    forwarded = Forwarded(app, trusted)
    forwarded._app = inner  # type: ignore[assignment]
    client = None if peer is None else (peer, 5)
    scope = {"type": "http", "client": client, "scheme": "http", "headers": list(headers)}
    asyncio.run(forwarded(scope, no_more, None))
    client = scopes[0]["client"]
    return client and client[0], scopes[0]["scheme"]


def by(text: str) -> tuple[bytes, bytes]:
    return b"x-forwarded-for", text.encode("latin-1")


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense", None),
        ("192.0.2.1, nonsense", None),
        ("192.0.2.1, ", None),
        ("1" * 10_000, None),
        ("\xff", None),
    ],
)
def test_of_a_trusted_proxy_the_last_address_that_is_no_proxy_s_is_the_client(told, address):
    assert seen("10.0.0.1", by(told)) == (address, "http")


def test_what_stands_before_the_client_is_not_even_read():
    parse_address.cache_clear()
    forged = ", ".join(f"203.0.{number >> 8}.{number & 255}" for number in range(2_000))
    assert seen("10.0.0.1", by(f"{forged}, 192.0.2.1, 10.0.0.2")) == ("192.0.2.1", "http")
    assert parse_address.cache_info().misses <= 3


def test_several_headers_are_one_list():
    assert seen("10.0.0.1", by("6.6.6.6"), by("192.0.2.1"), by("10.0.0.2")) == ("192.0.2.1", "http")


@pytest.mark.parametrize("peer", ["192.0.2.7", "11.0.0.1", "::2", None])
def test_of_anybody_else_nothing_is_believed(peer):
    assert seen(peer, by("1.1.1.1"), (b"x-forwarded-proto", b"https")) == (peer, "http")


def test_a_proxy_that_says_nothing_is_the_client_itself():
    assert seen("::1") == ("::1", "http")
    assert seen("::ffff:10.1.2.3", by("192.0.2.1")) == ("192.0.2.1", "http")


@pytest.mark.parametrize(
    ("told", "scheme"), [(b"https", "https"), (b" HTTPS ", "https"), (b"http", "http"), (b"javascript", "http")]
)
def test_the_scheme_is_what_it_says_if_it_is_one(told, scheme):
    assert seen("10.0.0.1", (b"x-forwarded-proto", told)) == ("10.0.0.1", scheme)


EVERYBODY = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize("peer", ["192.0.2.7", "::2"])
def test_where_whoever_connects_is_trusted_nobody_says_for_himself_who_he_is(peer):
    assert seen(peer, by("10.1.2.3, 7.7.7.7"), trusted=EVERYBODY) == ("7.7.7.7", "http")
    assert seen(peer, by("10.1.2.3"), by("7.7.7.7"), trusted=EVERYBODY) == ("7.7.7.7", "http")
    assert seen(peer, by("7.7.7.7, nonsense"), trusted=EVERYBODY) == (None, "http")


def test_proxies_behind_that_one_may_be_named_beside_it():
    assert seen("192.0.2.7", by("6.6.6.6, 7.7.7.7, 10.0.0.2"), trusted=(*EVERYBODY, *PROXIES)) == ("7.7.7.7", "http")


def test_a_server_behind_a_proxy_serves_and_refuses_what_is_no_http():
    app = make_app()
    server = Server(app)
    server.app = Forwarded(app, ("127.0.0.1/32",))  # type: ignore[assignment]
    server.start()
    try:
        assert server.send("GET", "/livez", x_forwarded_for="192.0.2.1").status == 200
        assert b"400" in server.send_raw(b"nonsense\r\n\r\n").partition(b"\r\n")[0]
    finally:
        assert server.stop() == 0
