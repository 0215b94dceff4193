"""How a company stands is told with every reply to a caller of whom it is known, also where no token is used."""

from typing import Any, cast

import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.errors import StoreUnavailable
from kvot.core.model import NewEvent
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import CALLS, Seen, ask, post
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.provider import Script

LIMIT, SPENT = 1_000_000, 250
OPENAI = {"x-ratelimit-limit-tokens": str(LIMIT), "x-ratelimit-remaining-tokens": str(LIMIT - SPENT)}
ANTHROPIC = {
    "anthropic-ratelimit-tokens-limit": str(LIMIT),
    "anthropic-ratelimit-tokens-remaining": str(LIMIT - SPENT),
}
OURS = {
    "ratelimit-policy": f'"budget";q={LIMIT};w=2592000;kvot-unit="tokens"',
    "ratelimit": f'"budget";r={LIMIT - SPENT}',
}

UNMETERED: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "openai's models": ("GET", "/openai/v1/models", None, OPENAI),
    "one of openai's models": ("GET", "/openai/v1/models/m", None, OPENAI),
    "openai's stored response": ("GET", "/openai/v1/responses/resp_1", None, OPENAI),
    "openai's counting": ("POST", "/openai/v1/responses/input_tokens", {"model": "m", "input": "x"}, OPENAI),
    "anthropic's models": ("GET", "/anthropic/v1/models", None, ANTHROPIC),
    "anthropic's counting": (
        "POST",
        "/anthropic/v1/messages/count_tokens",
        {"model": "m", "messages": []},
        ANTHROPIC,
    ),
    "gemini's models": ("GET", "/gemini/v1beta/models", None, {}),
    "gemini's counting": ("POST", "/gemini/v1beta/models/m:countTokens", {"contents": []}, {}),
}
# What is wrong, by verb, path and body; the status; the API's own family.
REFUSED: dict[str, tuple[str, str, Any, int, dict[str, str]]] = {
    "no model": ("POST", "/openai/v1/chat/completions", {"messages": []}, 400, OPENAI),
    "no ceiling that can be read": (
        "POST",
        "/anthropic/v1/messages",
        {"model": "m", "max_tokens": "x"},
        400,
        ANTHROPIC,
    ),
    "no such path": ("POST", "/openai/v1/files", {}, 404, OPENAI),
    "a response of nobody's": ("GET", "/openai/v1/responses/resp_9", None, 404, OPENAI),
    "no such path of gemini": ("POST", "/gemini/v1beta/nosuch", {}, 404, {}),
    "no such path of ollama": ("POST", "/ollama/api/pull", {}, 404, {}),
}


async def spent(open_scene: Any, *scripts: Script, **settings: Any) -> Any:
    scene = await open_scene(*scripts, limit=LIMIT, **settings)
    ledger = scene.house.services.ledger
    await ledger.record(COMPANY, NewEvent("spent", SPENT, ledger.now_ms()))
    return scene


def told(seen: Seen) -> dict[str, str]:
    """All families, but for when all is free again, which is the clock's to say."""
    return {n: v for n, v in seen.headers.items() if "ratelimit" in n and not n.endswith(("-reset", "-reset-tokens"))}


@pytest.mark.parametrize("what", UNMETERED)
async def test_a_path_that_uses_no_tokens_tells_it_too(open_scene, what):
    verb, path, body, family = UNMETERED[what]
    scene = await spent(open_scene, stored_responses="shared")
    seen = await post(scene, path, body, verb=verb)
    assert (seen.status, told(seen)) == (200, OURS | family)
    assert await scene.held() == 0


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_before_anything_is_held_tells_it_too(open_scene, what):
    verb, path, body, status, family = REFUSED[what]
    scene = await spent(open_scene)
    seen = await post(scene, path, body, verb=verb)
    assert (seen.status, told(seen), len(scene.provider.requests)) == (status, OURS | family, 0)


@pytest.mark.parametrize(
    ("status", "path", "family"),
    [(404, "/openai/v1/models/nosuch", OPENAI), (500, "/openai/v1/models", OPENAI), (404, "/ollama/api/tags", {})],
)
async def test_so_does_what_the_provider_refuses(open_scene, status, path, family):
    seen = await post(await spent(open_scene, Script(status=status)), path, None, verb="GET")
    assert (seen.status, told(seen)) == (status, OURS | family)


async def test_a_provider_whose_limit_is_the_tighter_one_tells_its_own(open_scene):
    name = "x-ratelimit-remaining-tokens"
    scene = await spent(open_scene, Script(headers=((name, "5"),)))
    seen = await post(scene, "/openai/v1/models", None, verb="GET")
    assert told(seen) == OURS | {name: "5"}


@pytest.mark.parametrize("key", ["kvot_none", "wrong"])
@pytest.mark.parametrize("call", [call for call in CALLS if not call.endswith("-stream")])
async def test_nobody_is_told_of_a_company_without_its_key(scene, call, key):
    seen = await ask(scene, call, dict.fromkeys(("authorization", "x-goog-api-key"), f"Bearer {key}"))
    assert (seen.status, told(seen)) == (401, {})


async def test_whom_no_company_is_known_of_is_told_of_none_until_one_is_named(open_scene):
    scene = await spent(open_scene)
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"], name="all"))
    key = {"authorization": f"Bearer {made.key}"}
    for headers, expected in ((key, {}), (key | {"x-kvot-company-id": COMPANY}, OURS | OPENAI)):
        seen = await post(scene, "/openai/v1/models", None, headers, verb="GET")
        assert (seen.status, told(seen)) == (200, expected)


@pytest.mark.parametrize(("path", "status"), [("/openai/v1/models", 200), ("/openai/v1/files", 404)])
async def test_no_reply_fails_because_it_is_not_known(scene, monkeypatch, path, status):
    async def fails(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("gone")

    monkeypatch.setattr("kvot.core.ledger.Ledger.usage", fails)
    seen = await post(scene, path, None, verb="GET")
    assert (seen.status, told(seen)) == (status, {})


async def test_a_fault_of_ours_in_telling_it_is_no_trace_to_the_client(scene, monkeypatch):
    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("kvot.core.ledger.Ledger.usage", fails)
    for path in ("/openai/v1/models", "/openai/v1/files"):
        seen = await post(scene, path, None, verb="GET")
        assert (seen.status, b"secret" in seen.body, len(scene.provider.requests)) == (500, False, 0)


@pytest.mark.parametrize("what", [*UNMETERED, *REFUSED])
async def test_and_every_reply_has_the_ids_that_people_quote(scene, what):
    verb, path, body = cast(tuple[str, str, Any], {**UNMETERED, **REFUSED}[what][:3])
    seen = await post(scene, path, body, verb=verb)
    names = {"anthropic": ["request-id"], "gemini": []}.get(path.split("/")[1], ["x-request-id"])
    assert [name for name in ("request-id", "x-request-id") if name in seen.headers] == names
    assert seen.headers["x-kvot-request-id"].startswith("req_")
