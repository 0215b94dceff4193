"""What keeps a command from its server before anything is sent: one line, with the name of what is to be mended."""

import pytest

URL = "http://127.0.0.1:1"
HOW = {
    "host": ({}, "http://é…/", "The server http://é… cannot be asked"),
    "socks5": ({"ALL_PROXY": "socks5://127.0.0.1:1"}, URL, "by the proxy socks5://127.0.0.1:1) cannot be asked"),
    "socks4": ({"HTTP_PROXY": "socks4://127.0.0.1:1"}, URL, "by the proxy socks4://127.0.0.1:1) cannot be asked"),
    "proxy": ({"HTTP_PROXY": "http://é…/"}, URL, "by the proxy http://é…/) cannot be asked"),
    "certificates": ({"SSL_CERT_FILE": "/missing"}, "https://127.0.0.1:1", "SSL_CERT_FILE, /missing, cannot be read"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("command", ["usage", "doctor"])
def test_one_line_says_what_is_wrong_and_where(kvot, monkeypatch, command, how):
    environment, url, words = HOW[how]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran = kvot.bare(command, "--url", url)
    assert (ran.code, ran.out, ran.err.count("\n"), words in ran.err) == (1, "", 1, True), ran.err
