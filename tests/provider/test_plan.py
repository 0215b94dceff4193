"""Every fault can be had of every dialect, plain and streamed, and does what its name says."""

import json
from typing import Any

import pytest

from tests.provider.plan import End, plan
from tests.provider.script import Fault, Script
from tests.provider.server import DIALECTS

PATHS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", "", {}),
    "chat stream": ("/v1/chat/completions", "", {"stream": True, "stream_options": {"include_usage": True}}),
    "responses": ("/v1/responses", "", {}),
    "responses stream": ("/v1/responses", "", {"stream": True}),
    "messages": ("/v1/messages", "", {}),
    "messages stream": ("/v1/messages", "", {"stream": True}),
    "gemini": ("/v1beta/models/m:generateContent", "", {}),
    "gemini sse": ("/v1beta/models/m:streamGenerateContent", "alt=sse", {}),
    "gemini array": ("/v1beta/models/m:streamGenerateContent", "", {}),
    "ollama": ("/api/chat", "", {"stream": False}),
    "ollama stream": ("/api/chat", "", {}),
    "ollama generate": ("/api/generate", "", {}),
}
STREAMS = [name for name in PATHS if "stream" in name or "sse" in name]


def answer(name, script):
    return next(found for knows, _ in DIALECTS if (found := knows(*PATHS[name], script)))


def made(name, fault=Fault.NONE, **changes):
    script = Script(fault=fault, **changes)
    return plan(answer(name, script), script)


# A plain body has no line to end.
CHANGES = [
    (name, fault)
    for name in PATHS
    for fault in Fault
    if fault is not Fault.NONE and not (fault in {Fault.CR, Fault.CRLF} and not made(name).head.count(b"chunked"))
]


@pytest.mark.parametrize(("name", "fault"), CHANGES)
def test_a_fault_changes_what_is_sent(name, fault):
    script = Script(fault=fault, after_bytes=50)
    assert plan(answer(name, script), script) != made(name)


@pytest.mark.parametrize("name", PATHS)
def test_a_cut_is_where_it_was_asked_for(name):
    cut = made(name, Fault.DROP_AFTER_BYTES, after_bytes=50)
    assert (cut.body, cut.end) == (made(name).body[:50], End.CLOSE)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_dropped_before_its_usage_tells_no_output(name):
    assert b'"output_tokens":12' not in made(name, Fault.DROP_BEFORE_USAGE).body
    assert b"12" in made(name).body


@pytest.mark.parametrize("name", PATHS)
def test_every_way_of_cutting_has_the_same_bytes(name):
    whole = made(name).body
    assert made(name, Fault.BYTE_BY_BYTE).body == made(name, Fault.SPLIT_UTF8).body == whole
    assert len(made(name, Fault.SPLIT_UTF8).pieces) > 3


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("fault", "said"), [(Fault.USAGE_NEGATIVE, b"-7"), (Fault.USAGE_HUGE, b"1000000000000000000000000000000")]
)
def test_absurd_usage_is_told(name, fault, said):
    assert said in made(name, fault).body


@pytest.mark.parametrize("name", ["chat", "responses", "messages", "gemini", "gemini array", "ollama"])
def test_what_is_one_document_is_json_unless_malformed(name):
    assert json.loads(made(name).body)
    assert json.loads(made(name, Fault.ERROR_INSIDE).body)
    with pytest.raises(ValueError, match="e"):
        json.loads(made(name, Fault.MALFORMED).body)
