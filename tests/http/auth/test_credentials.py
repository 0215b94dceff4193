"""What headers show: a token, a key, nothing, or something that can be nobody's."""

import base64

import pytest

from kvot.http.auth.credentials import Credentials, read_credentials

KEY = "kvot_0123456789Ab_" + "x" * 43
JWT = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
UNREADABLE = Credentials(is_readable=False)


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("authorization", "api_key", "shown"),
    [
        (None, None, Credentials()),
        (None, KEY.encode(), Credentials(key=KEY)),
        (None, b"  a-guid-key ", Credentials(key="a-guid-key")),
        (None, b"", UNREADABLE),
        (None, b"x" * 513, UNREADABLE),
        (None, "é".encode(), UNREADABLE),
        (b"Bearer " + JWT, None, Credentials(token=JWT)),
        (b"bEARER   " + JWT + b" ", None, Credentials(token=JWT)),
        (b"Bearer " + KEY.encode(), None, Credentials(key=KEY)),
        (b"Bearer a.b.c", None, Credentials(key="a.b.c")),
        (b"Bearer " + JWT + b".x", None, Credentials(key=(JWT + b".x").decode())),
        (b"Bearer", None, UNREADABLE),
        (b"Bearer eyJ." + b"x" * 8192 + b".y", None, UNREADABLE),
        (b"Bearer eyJ" + b"x" * 8186 + b".y.z", None, UNREADABLE),
        (basic(KEY + ":"), None, Credentials(key=KEY)),
        (basic(KEY), None, Credentials()),
        (basic("user:password"), None, Credentials()),
        (b"Basic !!!", None, Credentials()),
        (b"Negotiate abc", None, Credentials()),
        (b"Negotiate abc", KEY.encode(), Credentials(key=KEY)),
        (basic("proxy:password"), KEY.encode(), Credentials(key=KEY)),
        (b"", None, Credentials()),
        (b"Bearer " + JWT, KEY.encode(), Credentials(JWT, KEY)),
        (b"Bearer " + JWT, b"", UNREADABLE),
        (b"Bearer " + KEY.encode(), KEY.encode(), Credentials(key=KEY)),
        (b"Bearer other-key", KEY.encode(), UNREADABLE),
        (basic("other-key:"), KEY.encode(), UNREADABLE),
        (b"Bearer", KEY.encode(), UNREADABLE),
    ],
)
def test_what_headers_show(authorization, api_key, shown):
    assert read_credentials(authorization, api_key) == shown


def test_a_token_of_eight_kilobytes_is_still_read():
    token = b"eyJ" + b"x" * (8_192 - 7) + b".y.z"
    assert len(token) == 8_192
    assert read_credentials(b"Bearer " + token, None) == Credentials(token=token)
