"""What a client takes for an address and a key, and what its messages say of them: never a secret."""

import httpx2
import pytest

from kvot.client import AsyncClient, Client
from kvot.client.server import Server
from kvot.core.errors import InvalidRequest

KEY = "kvot_s3cret"
URL = "http://127.0.0.1:1"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("end", ["\n", " ", "\0", "…", "\udc80", "\r\nx: y"])
def test_a_key_that_no_header_carries_is_refused_at_once_and_never_repeated(kind, end):
    with pytest.raises(InvalidRequest, match=r"^The API key: must be ASCII") as caught:
        kind(URL, KEY + end)
    assert KEY not in repr(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_so_is_one_in_quotes(kind):
    with pytest.raises(InvalidRequest, match=r"^The API key: must be the key without the quotes") as caught:
        kind(URL, f'"{KEY}"')
    assert KEY not in repr(caught.value)


ADDRESSES = [
    *("", "/x", "127.0.0.1:8080", "//127.0.0.1", "ftp://h", "http://", "http://[::1", "http://h:99999", "http://h#f"),
    *(
        "http://a..b",
        f"http://{'a' * 64}",
        "http://user:s3cret@h",
        "http://user:s3cret/@h",
        "http://h\n",
        "http://…/",
        None,
    ),
]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("url", ADDRESSES)
def test_so_is_an_address_that_is_none(kind, url):
    with pytest.raises(InvalidRequest, match="server") as caught:
        kind(url, KEY)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["foo://user:s3cret@h", "http://user:s3cret@[::1", "http://user:s3cret#@h"])
def test_so_is_a_proxy_that_cannot_be_used(monkeypatch, proxy):
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(InvalidRequest, match=r"by the proxy .*cannot be asked") as caught:
        Client("http://h.example", KEY)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("timeout_s", [0, -1, None, "5", float("nan")])
def test_so_is_a_time_in_which_nothing_could_be_answered(kind, timeout_s):
    with pytest.raises(InvalidRequest, match="timeout_s"):
        kind(URL, KEY, timeout_s=timeout_s)


FAILURES = [
    (httpx2.ConnectError("refused"), "The server http://h cannot be reached: refused."),
    (httpx2.InvalidURL("URL too long"), "The server http://h cannot be asked: URL too long."),
    (httpx2.ConnectTimeout(""), "The server http://h cannot be reached within 1.5 seconds."),
    (httpx2.ReadError(""), "The server http://h did not answer: ReadError."),
    (httpx2.RemoteProtocolError("It disconnected."), "The server http://h did not answer: It disconnected."),
    (httpx2.ReadTimeout("timed out"), "The server http://h did not answer within 1.5 seconds."),
    (TimeoutError(), "The server http://h did not answer within 1.5 seconds."),
    (httpx2.LocalProtocolError(f"Illegal header value b'{KEY}'"), "The server http://h cannot be asked: "),
]


@pytest.mark.parametrize(("error", "message"), FAILURES, ids=lambda each: type(each).__name__)
def test_a_failure_is_told_in_a_sentence(error, message):
    said = Server("http://h", KEY, 1.5).unanswered(error, 1.5).message
    assert said.startswith(message)
    assert (said.endswith(".."), KEY in said) == (False, False)


def test_the_proxy_of_the_environment_is_named_where_it_is_in_the_way(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://user:s3cret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    error = httpx2.ConnectError("refused")
    said = Server("http://h", KEY, 1.5).unanswered(error, 1.0).message
    assert said == "The server http://h (by the proxy http://***@127.0.0.1:1) cannot be reached: refused."
    assert "proxy" not in Server(URL, KEY, 1.5).unanswered(error, 1.0).message
