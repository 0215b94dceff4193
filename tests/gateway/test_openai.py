"""OpenAI's dialect at the edges: paths, keys, headers, refusals."""

import json

import pytest

from kvot.core.errors import FieldError, Forbidden, InvalidRequest, KvotError, StoreUnavailable, TooManyRequests
from kvot.core.window import MS_PER_HOUR
from kvot.gateway.dialect import Limits
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.openai.refusals import duration

OPENAI = DIALECTS["openai"]

METERED = ["/chat/completions", "/responses", "/embeddings", "/completions"]
PLAIN = [
    ("GET", "/models"),
    ("GET", "/models/gpt-x"),
    ("GET", "/models/meta-llama/Llama-3.3:free"),
    ("GET", "/models/ft%3Agpt-x%3Aorg"),
    ("GET", "/responses/resp_1"),
    ("GET", "/responses/resp_1/input_items"),
    ("DELETE", "/responses/resp_1"),
    ("POST", "/responses/resp_1/cancel"),
    ("POST", "/responses/input_tokens"),
]


@pytest.mark.parametrize("path", METERED)
@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_what_generates_is_held_and_metered(path: str, prefix: str):
    found = OPENAI.find("POST", prefix + path, {})
    assert found
    assert found.endpoint.read
    assert found.endpoint.meter
    assert OPENAI.find("GET", prefix + path, {}) is None


@pytest.mark.parametrize(("verb", "path"), PLAIN)
@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_what_makes_nothing_passes_without_a_hold(verb: str, path: str, prefix: str):
    found = OPENAI.find(verb, prefix + path, {})
    assert found
    assert (found.endpoint.read, found.endpoint.meter) == (None, None)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/images/generations"),
        ("POST", "/audio/speech"),
        ("POST", "/batches"),
        ("POST", "/responses/compact"),
        ("POST", "/assistants"),
        ("GET", "/chat/completions"),
        ("GET", "/organization/usage/completions"),
        ("POST", "/chat/completions/"),
        ("POST", "//chat/completions"),
        ("POST", "/v1/v1/chat/completions"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/chat%2fcompletions"),
        ("POST", "/chat/completions\n"),
        ("GET", "/models/../files"),
        ("GET", "/models/a/../../files"),
        ("GET", "/models/%2e%2e/files"),
        ("GET", "/models/a%2F../files"),
        ("GET", "/responses/../files"),
        ("GET", "/responses/resp_1/other_items"),
        ("DELETE", "/models/ft-1"),
        ("POST", ""),
        ("GET", "/"),
    ],
)
def test_what_is_not_known_does_not_pass(verb: str, path: str):
    assert OPENAI.find(verb, path, {}) is None


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({b"authorization": b"Bearer kvot_1"}, "kvot_1"),
        ({b"authorization": b"bearer  kvot_1 "}, "kvot_1"),
        ({b"api-key": b"kvot_1"}, "kvot_1"),
        ({b"x-api-key": b"kvot_1"}, "kvot_1"),
        ({b"authorization": b"Bearer kvot_1", b"api-key": b"other"}, "kvot_1"),
        ({b"authorization": b"Basic a3ZvdA==", b"api-key": b"kvot_1"}, "kvot_1"),
        ({b"authorization": b"Basic a3ZvdA=="}, None),
        ({b"authorization": b"Bearer "}, None),
        ({b"authorization": b"Bearer \xc3\xa4"}, None),
        ({b"authorization": b"Bearer " + b"x" * 9_000}, None),
        ({}, None),
    ],
)
def test_the_key_is_where_the_clients_put_it(headers: dict[bytes, bytes], key: str | None):
    assert OPENAI.credential(headers, {}) == key


def test_the_provider_gets_its_own_key_alone():
    assert OPENAI.authorization("sk-1") == ((b"authorization", b"Bearer sk-1"),)
    assert DIALECTS["azure"].authorization("k") == ((b"api-key", b"k"),)
    assert OPENAI.authorization("") == ()


@pytest.mark.parametrize("name", ["accept", "content-type", "user-agent", "idempotency-key", "x-stainless-retry-count"])
def test_a_header_that_the_api_knows_goes_on(name: str):
    assert OPENAI.passes_request_header(name.encode())


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "api-key", "x-api-key", "openai-organization", "openai-project", "cookie", "host", "te",
        "x-forwarded-for", "forwarded", "via", "connection", "content-length", "accept-encoding", "x-kvot-key",
    ],
)  # fmt: skip
def test_a_header_that_it_does_not_know_stays_here(name: str):
    assert not OPENAI.passes_request_header(name.encode())


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("content-type", True), ("x-request-id", True), ("openai-processing-ms", True), ("openai-version", True),
        ("x-ratelimit-remaining-tokens", True), ("x-ratelimit-limit-tokens-minute", True), ("retry-after", True),
        ("retry-after-ms", True), ("x-should-retry", True), ("apim-request-id", True),
        ("fireworks-prompt-tokens", True), ("set-cookie", False), ("set-cookie2", False),
        ("openai-organization", False), ("openai-project", False), ("x-account-id", False), ("alt-svc", False),
        ("transfer-encoding", False), ("connection", False), ("content-encoding", False), ("content-length", False),
        ("strict-transport-security", False), ("access-control-allow-origin", False), ("x-kvot-request-id", False),
        ("www-authenticate", False), ("location", False), ("ratelimit", False), ("ratelimit-policy", False),
        ("x-upstream-a", False),
    ],
)  # fmt: skip
def test_a_reply_says_nothing_of_the_providers_account_or_host(name: str, passes: bool):
    assert OPENAI.passes_reply_header(name.encode()) == passes


NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def limits(retry_after_ms: int | None = None, used: int = 900, held: int = 50) -> Limits:
    return Limits(NOW_MS, 1_000, used, held, 30 * DAY_MS, retry_after_ms)


def test_an_exhausted_budget_is_a_refusal_that_no_client_repeats():
    status, headers, body = OPENAI.exhausted(limits(1_500), "No tokens are left.", "req-1", 429)
    assert status == 429
    assert dict(headers) == {
        b"content-type": b"application/json",
        b"x-request-id": b"req-1",
        b"x-should-retry": b"false",
        b"retry-after": b"2",
    }
    assert json.loads(body) == {
        "error": {
            "message": "No tokens are left.",
            "type": "insufficient_quota",
            "param": None,
            "code": "project_spend_limit_exceeded",
        },
        "responseStatus": {"errorCode": "BudgetExceeded", "message": "No tokens are left.", "errors": []},
        "kvot": {
            "window": 2_592_000,
            "limit": 1_000,
            "used": 900,
            "reserved": 50,
            "resetsAt": "2026-09-21T14:13:21.500Z",
        },
    }


def test_where_waiting_cannot_help_no_time_is_given():
    _, headers, body = OPENAI.exhausted(limits(None), "Too large.", "req-1", 402)
    assert b"retry-after" not in dict(headers)
    assert json.loads(body)["kvot"]["resetsAt"] is None


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "permission_error", "insufficient_permissions"),
        (404, "invalid_request_error", "not_found"),
        (405, "invalid_request_error", None),
        (413, "invalid_request_error", "request_too_large"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (502, "server_error", None),
        (503, "server_error", "service_unavailable"),
        (504, "server_error", "timeout"),
    ],
)
def test_a_failure_is_in_the_words_of_the_api(status: int, kind: str, code: str | None):
    refusal = OPENAI.failed(Forbidden("Not yours."), status, "req-1")
    document = json.loads(refusal.body)
    assert refusal.status == status
    assert document["error"] == {"message": "Not yours.", "type": kind, "param": None, "code": code}
    assert document["responseStatus"] == {"errorCode": "Forbidden", "message": "Not yours.", "errors": []}


def test_a_fault_of_a_field_names_it():
    error = InvalidRequest.of_fields([FieldError("n", "InvalidRequest", "'n' is wrong.")])
    document = json.loads(OPENAI.failed(error, 400, "req-1").body)
    assert document["error"]["param"] == "n"
    assert document["responseStatus"]["errors"] == [
        {"errorCode": "InvalidRequest", "fieldName": "n", "message": "'n' is wrong."}
    ]


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (StoreUnavailable("Wait."), b"1"),
        (TooManyRequests("Wait.", retry_after_ms=1_001), b"2"),
        (KvotError("No."), None),
    ],
)
def test_a_failure_that_passes_says_when_to_come_again(error: KvotError, after: bytes | None):
    assert dict(OPENAI.failed(error, 503, "req-1").headers).get(b"retry-after") == after


def test_the_headers_of_the_api_carry_our_figures():
    assert OPENAI.limit_headers(limits()) == (
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"50"),
        (b"x-ratelimit-reset-tokens", b"720h0m0s"),
    )
    assert dict(OPENAI.limit_headers(limits(used=0, held=0)))[b"x-ratelimit-reset-tokens"] == b"0s"


def test_all_is_not_free_again_before_what_was_refused_fits():
    told = OPENAI.limit_headers(limits()._replace(fits_after_ms=721 * MS_PER_HOUR))
    assert dict(told)[b"x-ratelimit-reset-tokens"] == b"721h0m0s"


@pytest.mark.parametrize(
    ("ms", "written"),
    [(0, "0s"), (12, "12ms"), (1_000, "1s"), (1_001, "2s"), (59_999, "1m0s"), (360_000, "6m0s"), (DAY_MS, "24h0m0s")],
)
def test_a_duration_is_written_as_openai_writes_it(ms: int, written: str):
    assert duration(ms) == written
