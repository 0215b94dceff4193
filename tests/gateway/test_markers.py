"""No prompt, completion, header or key of a call stands in a log or in the database, whatever becomes of the call."""

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.gateway.calls import CALLS, post
from tests.logs import logging_to
from tests.provider import Fault, Script

OUTCOMES = {
    "answered": Script(),
    "answered within the usage": Script(usage_text="said: {completion}"),
    "refused": Script(status=400),
    "broken": Script(fault=Fault.DROP_BEFORE_USAGE),
    "unreadable": Script(fault=Fault.MALFORMED),
    "no HTTP": Script(fault=Fault.BROKEN_FRAMES),
}


def marked(value: Any, mark: str) -> Any:
    """The same request with the mark in every text."""
    if isinstance(value, dict):
        return {name: marked(each, mark) if name not in {"model", "role"} else each for name, each in value.items()}
    if isinstance(value, list):
        return [marked(each, mark) for each in value]
    return f"{value} {mark}" if isinstance(value, str) else value


@pytest.fixture
def logged(tmp_path):
    """What the process logs, from every room and library, as it does when it serves."""
    path = tmp_path / "log"
    with path.open("w") as stream, logging_to(stream):
        yield path


async def test_markers_are_nowhere(open_scene, tmp_path: Path, logged: Path):
    marks = {name: f"{name}{token_hex(8)}" for name in ("prompt", "completion", "header", "query", "credential")}
    scene = await open_scene(openai_api_key="providerkey-openai")
    sent = {"user-agent": marks["header"], "x-other": marks["header"]}
    for number, script in enumerate(OUTCOMES.values()):
        inside = script.usage_text and script.usage_text.format_map(marks)
        scene.provider.script = replace(script, text=marks["completion"], usage_text=inside)
        for call, (path, body) in CALLS.items():
            sent["idempotency-key"] = f"{marks['header']}{number}{call}"
            where = path + ("&" if "?" in path else "?") + f"key={marks['query']}"
            await post(scene, where if "gemini" not in path else path, marked(body, marks["prompt"]), sent)
            await post(scene, path, {"wrong": marks["prompt"]}, sent)
            await post(scene, path, body, {name: marks["credential"] for name in ("authorization", "x-goog-api-key")})
            await post(scene, path + marks["query"], body, sent)
    await scene.settled()
    assert len(scene.provider.requests) == len(OUTCOMES) * len(CALLS)
    found = b"".join(each.read_bytes() for each in tmp_path.iterdir() if each.name != "kvot.db.secret")
    assert b"provider failed" in found
    assert b'"raw_usage":{' in found
    assert b'"raw_usage_left_out":"text"' in found
    for mark in [*marks.values(), scene.key, scene.key.rpartition("_")[2], "providerkey", "sk-anthropic"]:
        assert mark.encode() not in found, mark
