"""What of the head of a request and of a reply goes on, beyond what each dialect lists."""

import re
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from kvot.contract.keys import CreateApiKey
from kvot.core.model import TEXT_LENGTH_MAX
from kvot.gateway.headers import reply_headers, request_headers
from kvot.gateway.provider import Provider
from kvot.gateway.providers import DIALECTS
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.calls import CALLS, ask
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.provider import Script

OTHER = "c0000000-0000-4000-8000-000000000002"
OURS = Provider("openai", DIALECTS["openai"], "https://provider.example/v1", "sk-ours")
ITS_OWN = Provider("openai", DIALECTS["openai"], "https://provider.example/v1", "sk-its", has_own_key=True)


def said(caller: tuple[str, str], key: bytes, provider: Provider = OURS) -> bytes:
    headers = [(b"idempotency-key", key), (b"accept", b"*/*")]
    return dict(request_headers(provider, headers, caller, has_body=True))[b"idempotency-key"]


def test_one_idempotency_key_of_several_callers_is_as_many_behind_our_key():
    callers = [(credential, company) for credential in ("a1", "a2") for company in (COMPANY, OTHER)]
    words = [said(caller, key) for caller in callers for key in (b"k1", b"k2")]
    assert len(set(words)) == 8
    assert all(re.fullmatch(rb"[0-9a-f]{64}", word) for word in words)


def test_what_a_caller_says_cannot_be_read_as_what_another_says():
    alike = [(("a", "b"), b"cd"), (("ab", "c"), b"d"), (("a", "bc"), b"d")]
    assert len({said(caller, key) for caller, key in alike}) == 3


def test_an_idempotency_key_stays_the_same_when_it_is_said_again():
    assert said(("a1", COMPANY), b"k1") == said(("a1", COMPANY), b"k1")


def test_behind_its_own_key_a_company_says_its_own_word():
    assert said(("a1", COMPANY), b"k1", ITS_OWN) == b"k1"


async def test_the_provider_is_told_the_word_of_the_caller(scene):
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(company_id=COMPANY, name="another"))
    for each in (scene, replace(scene, key=made.key)):
        for call in ("chat", "messages"):
            await ask(each, call, {"idempotency-key": "k1"})
    words = [received.header("idempotency-key") for received in scene.provider.requests]
    assert (words[0], words[2]) == (words[1], words[3])
    assert words[2] == said((made.result.id, COMPANY), b"k1").decode() != words[0]


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "ollama"])
@pytest.mark.parametrize(
    "kinds",
    [
        [],
        [b"application/json; charset=utf-7"],
        [b"application/x-www-form-urlencoded"],
        [b"multipart/form-data; boundary=x"],
        [b"application/json", b"text/plain"],
    ],
)
@pytest.mark.parametrize("has_body", [True, False])
def test_a_body_is_called_json_whatever_its_client_calls_it(dialect: str, kinds: list[bytes], has_body: bool):
    provider = replace(OURS, dialect=DIALECTS[dialect])
    headers = [(b"content-type", kind) for kind in kinds]
    sent = request_headers(provider, headers, ("a1", COMPANY), has_body=has_body)
    assert [value for name, value in sent if name == b"content-type"] == [b"application/json"] * has_body


async def test_so_the_provider_is_told(scene):
    await ask(scene, "chat", {"content-type": "application/json; charset=utf-7"})
    assert scene.provider.requests[0].header("content-type") == "application/json"


HOP, OTHER_ONE = b"x-ratelimit-hop", b"x-ratelimit-other"
REPLY = ((b"content-type", b"application/json"), (HOP, b"1"), (OTHER_ONE, b"2"))


@pytest.mark.parametrize(
    ("connections", "names"),
    [
        ([], [b"content-type", HOP, OTHER_ONE]),
        ([b"keep-alive"], [b"content-type", HOP, OTHER_ONE]),
        ([HOP], [b"content-type", OTHER_ONE]),
        ([b"Keep-Alive, X-RateLimit-Hop ,\tx-ratelimit-other"], [b"content-type"]),
        ([b"close", OTHER_ONE, HOP], [b"content-type"]),
        ([b"", b",,", b"x-ratelimit-h op"], [b"content-type", HOP, OTHER_ONE]),
    ],
)
def test_what_the_provider_says_is_of_its_connection_does_not_go_on(connections: list[bytes], names: list[bytes]):
    headers = [*[(b"connection", value) for value in connections], *REPLY]
    assert [name for name, _ in reply_headers(DIALECTS["openai"], headers, None)] == names


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Åsa Ödegård".encode(), "Åsa Ödegård"),
        ("Åsa".encode("latin-1"), "Åsa"),
        (b"asa", "asa"),
        ("検".encode() * (TEXT_LENGTH_MAX + 1), "検" * TEXT_LENGTH_MAX),
    ],
)
async def test_a_label_is_read_as_utf_8_or_else_as_latin_1(scene, sent: bytes, kept: str):
    path, body = CALLS["chat"]
    headers: Any = {"x-kvot-user-id": sent, "x-kvot-feature": sent, "authorization": f"Bearer {scene.key}"}
    async with httpx2.AsyncClient() as client:
        await client.post(scene.url + path, json=body, headers=headers)
    await scene.settled()
    assert [[share.label for share in await scene.shares(by)] for by in ("user", "feature")] == [[kept], [kept]]


async def test_nor_does_it_reach_the_client_of_a_held_call(open_scene):
    hop, other = HOP.decode(), OTHER_ONE.decode()
    scene = await open_scene(Script(headers=(("connection", hop), (hop, "1"), (other, "2"))))
    headers = (await ask(scene, "chat")).headers
    assert (hop in headers, headers[other]) == (False, "2")
