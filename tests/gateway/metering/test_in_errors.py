"""How much of an error is what a model generated, by the words of the servers that send such."""

import codecs
import json
import time

import pytest

from kvot.gateway.metering.in_errors import generated_bytes, generated_in_refusal

TEXT = "Once upon a time. " * 20
BYTES = len(TEXT)
GROQ = {"error": {"message": "See 'failed_generation'.", "code": "tool_use_failed", "failed_generation": TEXT}}
ROUTERS = "litellm.MidStreamFallbackError: litellm.APIConnectionError: APIConnectionError: "
WITH_TEXT = [
    GROQ,
    {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps(GROQ)}}},
    {"error": {"code": 500, "message": f"Failed to parse input at pos 17: {TEXT}", "type": "server_error"}},
    {"error": f"error parsing tool call: raw={TEXT}"},
    {"error": {"message": f"litellm.BadRequestError: GroqException - {json.dumps(GROQ)}. Received Model Group=llama"}},
    {"error": {"message": f"[Errno 5] {ROUTERS}OpenAIException - Failed to parse input at pos 12: {TEXT}"}},
    {"error": f"Tool error: Failed to parse generated text{TEXT}", "error_type": "tool_error"},
]


@pytest.mark.parametrize("error", WITH_TEXT)
def test_all_of_what_was_generated_counts_and_nothing_else(error):
    whole = json.dumps(error).encode()
    for body in (whole, codecs.BOM_UTF8 + whole, b"data: " + whole + b"\n\n", b"[1e999," + whole + b"]"):
        assert generated_in_refusal(body) == BYTES
    assert generated_bytes(error) == BYTES


UNREADABLE = [
    f"Error code: 400 - {GROQ}",
    f"{ROUTERS}GroqException - {json.dumps(GROQ)[:-10]}",
    json.dumps({"error": {"message": f"GroqException - {json.dumps(GROQ)[:-3]}"}})[:-9],
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_where_an_error_cannot_be_read_all_counts_that_stands_behind_the_member(text):
    """As Python writes it, or broken off."""
    for body in (text.encode(), json.dumps({"error": {"message": text}}).encode()):
        assert BYTES - 10 <= generated_in_refusal(body) <= BYTES + 20


@pytest.mark.parametrize(
    "empty",
    ["Error code: 400 - {'failed_generation': None}", "{'failed_generation': ''}", '{"failed_generation": "", '],
)
def test_where_nothing_was_generated_nothing_counts(empty):
    assert generated_bytes({"message": f"See 'failed_generation' for more. {empty}"}) == 0


@pytest.mark.parametrize(
    "part", ["[", "{", '{"a":', '["', "failed_generation", "Failed to parse input at pos 1", "\\", "9"]
)
def test_no_text_takes_long(part):
    begun = time.process_time()
    for length in (200_000, 1_000_000):
        message = "raw= failed_generation " + part * (length // len(part))
        generated_in_refusal(json.dumps({"error": {"message": message}}).encode())
    assert time.process_time() - begun < 1


def test_half_a_pair_of_surrogates_hides_nothing():
    body = json.dumps(GROQ).encode().replace(b'. "}', b'. \\ud83d"}')
    assert generated_in_refusal(body) >= BYTES


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": "Traceback (most recent call last): " + "x" * 20_000}}).encode(),
        json.dumps({"detail": [{"msg": "Too long", "input": f"Failed to parse input at pos 3: {TEXT}"}]}).encode(),
        json.dumps({"detail": [{"msg": "No text", "input": GROQ, "ctx": GROQ}]}).encode(),
        b"<html>" + b"x" * 900_000,
        b"\xff" * 20_000,
        b"",
        b'{"error": {' + b"[" * 5_000,
        json.dumps({"error": "{" * 50, "failed_generation": None}).encode(),
    ],
)
def test_of_another_error_nothing_counts_however_long_it_is(body):
    assert generated_in_refusal(body) == 0
