"""No cache before us keeps a reply to a call, whatever the provider says of it: its clients' keys come in headers that
caches do not take for credentials."""

import httpx2
import pytest

from kvot.http.early import HEAD_TOO_LARGE
from tests.gateway.calls import CALLS, ask, headers_of, post
from tests.gateway.test_exhausted import spent
from tests.provider import Script

PROBLEM = {"accept": "application/problem+json"}
MAY_BE_KEPT = (("cache-control", "public, max-age=3600"), ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"))
KEEPS_NONE: tuple[list[str], list[str]] = (["no-store"], [])


def kept(headers: httpx2.Headers) -> tuple[list[str], list[str]]:
    return headers.get_list("cache-control"), headers.get_list("expires")


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize("call", CALLS)
async def test_no_reply_to_a_call_is_kept(open_scene, call, status):
    scene = await open_scene(Script(status=status, headers=MAY_BE_KEPT))
    seen = await ask(scene, call)
    assert (seen.status, kept(seen.headers)) == (status, KEEPS_NONE)


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", ["/openai/v1/responses/resp_1", "/gemini/v1beta/models"])
async def test_nor_what_is_looked_up(open_scene, verb, path):
    scene = await open_scene(Script(headers=MAY_BE_KEPT), stored_responses="shared")
    async with httpx2.AsyncClient(headers=headers_of(path, scene.key)) as client:
        assert kept((await client.request(verb, scene.url + path)).headers) == KEEPS_NONE


async def test_nor_a_reply_that_is_given_again(open_scene):
    scene = await open_scene(Script(headers=MAY_BE_KEPT))
    first, again = [await ask(scene, "chat", {"idempotency-key": "k1"}) for _ in range(2)]
    assert (first.body, again.headers["x-kvot-repeated"]) == (again.body, "true")
    assert [kept(seen.headers) for seen in (first, again)] == [KEEPS_NONE] * 2


@pytest.mark.parametrize("accept", [{}, PROBLEM])
@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (CALLS["chat"][0], {"messages": []}, {}, 400),
        (CALLS["messages"][0], {}, {"authorization": "Bearer wrong"}, 401),
        ("/anthropic/v1/nosuch", {}, {}, 404),
        ("/elsewhere/v1/messages", {}, {}, 404),
    ],
)
async def test_nor_a_refusal(scene, path, body, headers, status, accept):
    seen = await post(scene, path, body, headers | accept)
    assert (seen.status, kept(seen.headers)) == (status, KEEPS_NONE)


@pytest.mark.parametrize("accept", [{}, PROBLEM])
async def test_nor_that_of_a_budget(open_scene, monkeypatch, accept):
    seen = await ask(await spent(open_scene, monkeypatch), "chat", accept)
    assert (seen.status, kept(seen.headers)) == (429, KEEPS_NONE)


async def test_nor_that_of_what_never_became_a_request(scene):
    assert b"\r\ncache-control: no-store\r\n" in scene.app.early.reply(HEAD_TOO_LARGE, "POST", b"/openai/v1/responses")
