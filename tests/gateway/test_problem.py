"""Calls to providers whose clients ask for problems (RFC 9457) by name; official clients do not."""

import json
from typing import Any

import pytest

from tests.gateway.calls import CALLS, Seen, ask, post, send_raw
from tests.gateway.test_exhausted import BACK_AFTER_S, LIMIT, SPENT, spent

PROBLEM = "application/problem+json"
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"
EACH = ["chat", "responses-stream", "messages", "gemini", "gemini-array-stream", "ollama-stream"]
ACCEPTED = {"accept": PROBLEM}


def problem_of(seen: Seen) -> Any:
    assert seen.headers.get_list("content-type") == [PROBLEM]
    return json.loads(seen.body)


@pytest.mark.parametrize("status", [429, 402])
@pytest.mark.parametrize("call", EACH)
async def test_an_exhausted_budget_is_a_problem_of_the_drafts_type(open_scene, monkeypatch, call, status):
    scene = await spent(open_scene, monkeypatch, exhausted_status=str(status))
    seen = await ask(scene, call, ACCEPTED)
    problem = problem_of(seen)
    assert (seen.status, problem["status"], problem["type"]) == (status, status, QUOTA)
    assert (problem["errorCode"], problem["violated-policies"]) == ("BudgetExceeded", ["budget"])
    assert (problem["kvot"]["limit"], problem["kvot"]["used"]) == (LIMIT, SPENT)
    assert problem["detail"].startswith("The company's token budget does not hold this call")
    assert problem["meta"] == {"RequestId": seen.headers["x-kvot-request-id"]}


@pytest.mark.parametrize("call", ["chat", "messages", "gemini", "ollama"])
async def test_its_headers_are_those_of_the_apis_own_refusal(open_scene, monkeypatch, call):
    scene = await spent(open_scene, monkeypatch)
    plain, problem = await ask(scene, call), await ask(scene, call, ACCEPTED)
    assert problem.headers["retry-after"] == str(BACK_AFTER_S)
    assert problem.headers["x-should-retry"] == "false"
    assert list(plain.headers) == list(problem.headers)
    assert [seen.headers["vary"] for seen in (plain, problem)] == ["Accept", "Accept"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/openai/v1/chat/completions", {"messages": []}, {}, 400),
        ("/openai/v1/chat/completions", {}, {"authorization": "Bearer wrong"}, 401),
        ("/anthropic/v1/nosuch", {}, {}, 404),
        (CALLS["gemini-array-stream"][0], {"contents": 1}, {}, 400),
        ("/ollama/api/chat", {}, {"content-encoding": "zstd"}, 400),
    ],
)
async def test_any_other_refusal_of_ours_has_no_type(scene, path, body, headers, status):
    seen = await post(scene, path, body, ACCEPTED | headers)
    problem = problem_of(seen)
    assert (seen.status, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert problem["meta"]["RequestId"] == seen.headers["x-kvot-request-id"]


async def test_so_is_what_never_became_a_call(scene):
    request = b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: h\r\naccept: application/problem+json\r\n"
    status, headers, body = await send_raw(scene, request + b"content-length: abc\r\n\r\n")
    assert (status, headers["content-type"], json.loads(body)["status"]) == (400, PROBLEM, 400)


async def test_and_a_provider_that_is_not_configured(open_scene):
    scene = await open_scene(anthropic_api_key=None, anthropic_base_url=None)
    problem = problem_of(await post(scene, "/anthropic/v1/messages", {}, ACCEPTED))
    assert (problem["status"], "KVOT_ANTHROPIC_API_KEY" in problem["detail"]) == (404, True)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/event-stream", "application/*"])
async def test_whoever_does_not_name_it_is_told_in_the_apis_words(open_scene, monkeypatch, accept):
    scene = await spent(open_scene, monkeypatch)
    seen = await ask(scene, "chat", {"accept": accept})
    assert (seen.status, seen.headers["content-type"]) == (429, "application/json")
    assert json.loads(seen.body)["error"]["code"] == "project_spend_limit_exceeded"
