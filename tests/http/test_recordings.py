"""What real clients sent, sent again: each recorded request about our operations gets an answer that its client takes.

The recordings lie beside the project, in `shared/contract/clients`. Where they are missing the tests are skipped at a
desk and fail in CI.
"""

import json
import os
from pathlib import Path

import pytest

from tests.http.asgi import Asgi
from tests.http.conftest import make_app

OWN = "2c9f6a3e-8d1b-4f5e-9c70-1a2b3c4d5e6f"
FOLDERS = [parent / "shared" / "contract" / "clients" for parent in Path(__file__).parents]
PATHS = ("/api/getaichatusage", "/api/recordaichatusage", "/assistant/", "/json/reply/", "/json/oneway/")
PLAYED = ("/api/getaichatusageiget",)
"""A name of the recorder's own, which no host of ours has."""

_SENT_BY_CLIENT = ("content-length", "connection", "host", "authorization", "x-api-key")


def recorded():
    folder = next((each for each in FOLDERS if each.is_dir()), None)
    if folder is None:
        return [pytest.param(None, None, id="no recordings")]
    return [
        pytest.param(case, request, id=f"{case['name']}-{position}")
        for name in ("python", "js")
        for case in json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cases"]
        for position, request in enumerate(case["requests"])
        if is_ours(request["target"])
    ]


def is_ours(target):
    lowered = target.lower()
    return lowered.startswith(PATHS) and not lowered.startswith(PLAYED) and "void" not in lowered


@pytest.fixture
def host():
    asgi = Asgi(make_app())
    yield asgi
    asgi.close()


def send(host, request):
    """As recorded, but with a credential that this host knows."""
    body = request["body"].replace("{BOUNDARY}", "boundary").encode()
    headers = [
        (name.lower().encode(), value.replace("{BOUNDARY}", "boundary").encode("latin-1"))
        for name, value in request["headers"]
        if name.lower() not in _SENT_BY_CLIENT
    ]
    return host.send_raw(request["method"], request["target"], body or None, [*headers, (b"x-api-key", OWN.encode())])


def expected_status(request):
    verb, target, body = request["method"], request["target"].lower(), request["body"]
    if "recordaichatusage" in target and verb == "PATCH":
        return 405  # the operation takes POST and PUT
    if "oneway" in target:
        return 204
    return 400 if body.replace(" ", "") == '{"tokensUsed":0}' and "?" not in target else 200


@pytest.mark.parametrize(("case", "request_"), recorded())
def test_a_recorded_request_is_answered(host, case, request_):
    if case is None:
        assert not os.environ.get("CI"), "CI must have the recordings"
        pytest.skip("shared/contract/clients is not beside the project")
    reply = send(host, request_)
    assert reply.status == expected_status(request_)
    if request_["target"].endswith(".jsv"):
        assert reply.body.startswith(b"{CompanyId:")
        return
    if reply.status == 204 or request_["method"] == "HEAD":
        assert reply.body == b""
        return
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert not reply.body.startswith(b"\xef\xbb\xbf")
    if reply.status == 200:
        answers = reply.json if isinstance(reply.json, list) else [reply.json]
        assert all(each["companyId"] == OWN for each in answers)
        assert len(answers) == (len(json.loads(request_["body"])) if isinstance(reply.json, list) else 1)
    else:
        assert reply.error[0] in ("GreaterThan", "NotImplementedException")


@pytest.mark.parametrize(("case", "request_"), recorded())
def test_a_recorded_request_without_a_credential_is_told_so_and_not_sent_elsewhere(host, case, request_):
    if case is None:
        pytest.skip("shared/contract/clients is not beside the project")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request_["headers"]]
    headers = [(name, value) for name, value in headers if name.decode() not in _SENT_BY_CLIENT]
    reply = host.send_raw(request_["method"], request_["target"], None, headers)
    assert reply.status in (401, 405)
    assert "location" not in reply.headers
    assert "www-authenticate" not in reply.headers
