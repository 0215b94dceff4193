"""What a served gateway tells Prometheus of its calls, and whom it tells."""

import asyncio
import json
from math import ceil
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kvot.contract.keys import CreateApiKey
from kvot.core.budget import Budget
from kvot.core.errors import StoreUnavailable
from kvot.gateway.estimate import ADDED_TOKENS
from kvot.operations import Caller
from kvot.operations.keys import create_key
from tests.gateway.conftest import COMPANY, OPERATOR
from tests.provider import Fault, Script

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
CLOSED_WITHIN_S = 2.0  # one that is kept is open for longer
MARKER = "zq-marker-that-nobody-else-writes"


async def scrape(scene: Any) -> str:
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"]))
    headers = {"authorization": f"Bearer {made.key}", "accept": PROMETHEUS}
    async with httpx2.AsyncClient() as client:
        reply = await client.get(f"{scene.url}/metrics", headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return reply.text


async def value(scene: Any, name: str, **labels: str) -> float:
    samples = [each for family in text_string_to_metric_families(await scrape(scene)) for each in family.samples]
    wanted = {"provider": "openai", "endpoint": "chat", **labels}
    (found,) = [each.value for each in samples if each.name == name and each.labels == wanted]
    return found


async def calls(scene: Any) -> dict[tuple[str | None, str], float]:
    """How many had which endpoint and outcome."""
    samples = [each for family in text_string_to_metric_families(await scrape(scene)) for each in family.samples]
    return {
        (each.labels.get("endpoint"), each.labels["outcome"]): each.value
        for each in samples
        if each.name == "kvot_calls_total" and each.labels["provider"] == "openai"
    }


async def chat(
    scene: Any, max_tokens: int = 50, model: str = "m", said: str = f"Hello {MARKER}", **more: str
) -> httpx2.Response:
    headers = {"authorization": f"Bearer {scene.key}", "x-kvot-feature": MARKER, **more}
    messages = [{"role": "user", "content": said}]
    body = {"model": model, "max_tokens": max_tokens, "messages": messages, "user": MARKER}
    async with httpx2.AsyncClient() as client:
        return await client.post(f"{scene.url}/openai/v1/chat/completions", json=body, headers=headers)


async def test_a_call_is_in_the_sums_as_it_is_in_the_ledger(scene):
    assert (await chat(scene)).status_code == 200
    used = await scene.settled()
    assert await value(scene, "kvot_settled_tokens_total") == used > 0
    assert await value(scene, "kvot_reservations_total", outcome="held") == 1
    assert await value(scene, "kvot_held_tokens_total") > 50
    assert await value(scene, "kvot_upstream_seconds_count") == 1
    assert await value(scene, "kvot_gateway_overhead_seconds_count") == 1
    assert await value(scene, "kvot_estimate_error_count") == 1


async def test_the_overhead_runs_from_a_call_s_head_on_and_what_its_body_takes_is_in_it(scene):
    """The body is sent once the gateway waits for it, and after as long as some scrapes take."""
    address, loop = urlsplit(scene.url), asyncio.get_running_loop()
    body = json.dumps({"model": "m", "max_tokens": 50, "messages": []}).encode()
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {scene.key}\r\n"
    head += f"expect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n"
    sent_at_s = loop.time()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode())
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    waits_since_s = loop.time()
    for _ in range(20):
        await scrape(scene)
    waited_s = loop.time() - waits_since_s
    writer.write(body)
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert waited_s <= await value(scene, "kvot_gateway_overhead_seconds_sum") <= loop.time() - sent_at_s
    assert await value(scene, "kvot_gateway_overhead_seconds_count") == 1


async def test_how_well_holds_are_used_is_told_beside_what_was_overspent(open_scene):
    scene = await open_scene(Script(output_tokens=20), Script(output_tokens=900, obeys_ceiling=False))
    await chat(scene)
    within, held = await scene.settled(), await value(scene, "kvot_held_tokens_total")
    assert await value(scene, "kvot_settled_tokens_total") == within < held
    assert await value(scene, "kvot_overshoot_tokens_total") == 0
    await chat(scene)
    beyond = await scene.settled() - within
    assert await value(scene, "kvot_held_tokens_total") == 2 * held
    assert await value(scene, "kvot_overshoot_tokens_total") == beyond - held > 0


async def test_errors_are_of_what_was_held_for_the_input_and_of_what_it_would_be_charged_as(open_scene):
    """A token stands for two bytes of text until something is learned; a hold has one byte a token, and of what stands
    around the text as well, and what the API adds."""
    used, said = 60, "word " * 40
    scene = await open_scene(Script(input_tokens=used))
    await chat(scene, max_tokens=50, said=said)
    input_held, text_bytes = await value(scene, "kvot_held_tokens_total") - 50, len("user" + said)
    assert input_held > text_bytes + ADDED_TOKENS
    held_error, guess_error = (input_held - used) / used, (ceil(text_bytes / 2) - used) / used
    assert await value(scene, "kvot_estimate_error_sum") == pytest.approx(held_error)
    assert await value(scene, "kvot_guess_error_sum") == pytest.approx(guess_error)
    await chat(scene, max_tokens=50, said=said)
    assert await value(scene, "kvot_guess_error_sum") == pytest.approx(guess_error, abs=1 / used)  # it has learned


async def test_lowered_ceilings_and_refusals_are_told_apart(open_scene):
    scene = await open_scene(limit=200)
    assert (await chat(scene, 500)).status_code == 200
    await scene.house.services.ledger.set_budget(COMPANY, Budget(0, 30), actor="t", reason=None)
    assert (await chat(scene, 500)).status_code == 429
    assert await value(scene, "kvot_reservations_total", outcome="clamped") == 1
    assert await value(scene, "kvot_reservations_total", outcome="refused") == 1


async def test_what_a_repeated_call_was_charged_before_is_in_it_as_taken_back(open_scene):
    scene = await open_scene(Script(fault=Fault.DROP_BEFORE_USAGE), Script())
    key: Any = {"idempotency-key": "turn-7"}
    assert (await chat(scene, **key)).status_code == 502
    charged = await scene.settled()
    assert await value(scene, "kvot_corrected_tokens_total") == 0
    assert (await chat(scene, **key)).status_code == 200
    while await value(scene, "kvot_corrected_tokens_total") != charged:  # it comes after the call's reply
        pass
    assert await value(scene, "kvot_settled_tokens_total") - charged == await scene.used() > 0


@pytest.mark.parametrize("status", [400, 500])
async def test_a_call_that_the_provider_refuses_settles_nothing(open_scene, status):
    scene = await open_scene(Script(status=status))
    assert (await chat(scene)).status_code == status
    assert await value(scene, "kvot_settled_tokens_total") == 0
    assert await value(scene, "kvot_held_tokens_total") > 0


OUTCOMES: dict[str, tuple[Script, dict[str, Any]]] = {
    "passed": (Script(), {}),
    "refused": (Script(), {"limit": 10}),
    "provider_refused": (Script(status=429), {}),
    "provider_failed": (Script(status=500), {}),
    "provider_failed by breaking off": (Script(fault=Fault.DROP_BEFORE_USAGE), {}),
    "provider_failed by taking too long": (Script(fault=Fault.HANG), {"call_max_s": 1}),
    "provider_failed by refusing our key": (Script(status=401), {}),
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_a_call_is_counted_by_what_became_of_it(open_scene, name):
    script, settings = OUTCOMES[name]
    scene = await open_scene(script, **settings)
    await chat(scene)
    assert await calls(scene) == {("chat", name.split()[0]): 1}


@pytest.mark.parametrize(
    ("error", "outcome"), [(StoreUnavailable("no"), "unavailable"), (RuntimeError("worse"), "failed")]
)
@pytest.mark.parametrize("where", ["core.ledger.Ledger.reserve", "http.auth.keys_and_tokens.KeysAndTokens.principal"])
async def test_so_is_one_that_kvot_could_not_carry_out(scene, monkeypatch, where, error, outcome):
    async def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(f"kvot.{where}", fails)
    await chat(scene)
    monkeypatch.undo()
    assert await calls(scene) == {("chat", outcome): 1}


async def test_so_is_one_to_a_server_that_is_stopping(scene):
    scene.app.health.is_draining = True
    assert (await chat(scene)).status_code == 503
    scene.app.health.is_draining = False
    assert await calls(scene) == {("chat", "unavailable"): 1}


async def test_so_is_one_that_was_not_as_it_must_be_or_uses_no_tokens_or_is_none(scene):
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {scene.key}"}) as client:
        for path in ("chat/completions", "responses"):
            await client.post(f"{scene.url}/openai/v1/{path}", content=b"{")
        for path in ("models", "nothing", f"nothing-of-{MARKER}"):
            await client.get(f"{scene.url}/openai/v1/{path}")
        await client.get(f"{scene.url}/openai/v1/models", headers={"authorization": "Bearer nobody"})
    counted = {("chat", "rejected"): 1, ("responses", "rejected"): 1, ("models", "passed"): 1, (None, "rejected"): 2}
    assert await calls(scene) == {**counted, ("models", "rejected"): 1}


async def test_a_call_is_under_way_until_its_client_leaves_and_is_cut_then(open_scene):
    scene = await open_scene(Script(fault=Fault.HANG))
    call = asyncio.create_task(chat(scene))
    await scene.provider.arrival()
    under_way = 'kvot_calls_under_way{provider="openai"}'
    assert (f"{under_way} 1.0" in await scrape(scene), await calls(scene)) == (True, {})
    call.cancel()
    await scene.settled()
    assert (f"{under_way} 0.0" in await scrape(scene), await calls(scene)) == (True, {("chat", "cut"): 1})


async def test_operations_and_holds_are_in_it_beside_the_calls(scene):
    headers = {"authorization": f"Bearer {scene.key}"}
    async with httpx2.AsyncClient() as client:
        for tokens in (5, 5, 10**9):
            await client.post(f"{scene.url}/assistant/ai-chat/holds?Tokens={tokens}", headers=headers)
        await client.get(f"{scene.url}/assistant/ai-chat/usage", headers=headers)
    lines = (await scrape(scene)).splitlines()
    assert 'kvot_reservations_total{endpoint="holds",outcome="held"} 2.0' in lines
    assert 'kvot_reservations_total{endpoint="holds",outcome="refused"} 1.0' in lines
    assert 'kvot_requests_total{operation="GetAiChatUsage",outcome="done"} 1.0' in lines


async def test_what_a_hold_over_http_is_settled_at_above_its_tokens_is_overshoot(scene):
    holds, headers = f"{scene.url}/assistant/ai-chat/holds", {"authorization": f"Bearer {scene.key}"}
    async with httpx2.AsyncClient(headers=headers) as client:
        for hold_id, used in (("within", 4), ("beyond", 500), ("too", 6)):
            await client.post(f"{holds}?Tokens=5&HoldId={hold_id}")
            assert (await client.post(f"{holds}/{hold_id}/settle?TokensUsed={used}")).status_code == 200
    assert f'kvot_overshoot_tokens_total{{endpoint="holds"}} {500 - 5 + 6 - 5}.0' in (await scrape(scene)).splitlines()


async def test_models_companies_and_texts_of_clients_are_nowhere_in_it(scene):
    for number in range(5):
        await chat(scene, model=f"{MARKER}-{number}")
    text = await scrape(scene)
    assert MARKER not in text
    assert COMPANY not in text
    assert "kvot_tokens_total" in text


async def test_a_scrape_keeps_no_connection_that_would_stay_with_one_of_several_workers(scene):
    made = await create_key(scene.house.services, Caller(OPERATOR), CreateApiKey(roles=["superadmin"]))
    address = urlsplit(scene.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {made.key}\r\n\r\n".encode())
    async with asyncio.timeout(CLOSED_WITHIN_S):
        reply = await reader.read()  # to the end of the connection
    assert b"\r\nconnection: close\r\n" in reply
    writer.close()


async def test_only_superadmins_may_read_them(scene):
    async with httpx2.AsyncClient() as client:
        nobody = await client.get(f"{scene.url}/metrics")
        company = await client.get(f"{scene.url}/metrics", headers={"authorization": f"Bearer {scene.key}"})
    assert (nobody.status_code, company.status_code) == (401, 403)
    assert "kvot_" not in nobody.text + company.text
