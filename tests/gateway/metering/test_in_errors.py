"""How much of an error is what a model generated, by the words of the servers that send such."""

import codecs
import json

import pytest

from kvot.gateway.metering.in_errors import generated_bytes, generated_in_refusal

TEXT = "Once upon a time. " * 20
BYTES = len(TEXT)
GROQ = {"error": {"message": "See 'failed_generation'.", "code": "tool_use_failed", "failed_generation": TEXT}}
WITH_TEXT = [
    GROQ,
    {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps(GROQ)}}},
    {"error": {"code": 500, "message": f"Failed to parse input at pos 17: {TEXT}", "type": "server_error"}},
    {"error": f"error parsing tool call: raw={TEXT}"},
    {"error": f"Tool error: Failed to parse generated text{TEXT}", "error_type": "tool_error"},
]


@pytest.mark.parametrize("error", WITH_TEXT)
def test_all_of_what_was_generated_counts_and_nothing_else(error):
    whole = json.dumps(error).encode()
    for body in (whole, codecs.BOM_UTF8 + whole, b"data: " + whole + b"\n\n", b"[1e999," + whole + b"]"):
        assert generated_in_refusal(body) == BYTES
    assert generated_bytes(error) == BYTES


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
