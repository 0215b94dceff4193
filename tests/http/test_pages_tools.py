"""The official tools of npm's `@servicestack/cli`, unchanged, against a running server."""

from collections.abc import Iterator

import pytest

from kvot.http.app import HttpSettings
from kvot.http.pages import Pages
from kvot.wire.style import Style
from tests.http.conftest import Server, make_app
from tests.http.test_pages import NOW
from tests.metadata import tools

SAVED = {
    "ts-ref": "dtos.ts",
    "tsd-ref": "dtos.d.ts",
    "cs-ref": "dtos.cs",
    "swift-ref": "dtos.swift",
    "java-ref": "dtos.java",
    "kt-ref": "dtos.kt",
    "vb-ref": "dtos.vb",
    "fs-ref": "dtos.fs",
    "dart-ref": "dtos.dart",
}


@pytest.fixture(scope="module")
def site() -> Iterator[Server]:
    site = Server(make_app(HttpSettings(), surfaces=[Pages(Style(), lambda: NOW)])).start()
    yield site
    assert site.stop() == 0


@pytest.fixture(autouse=True)
def _no_counting(monkeypatch):
    """The tools tell their maker of every use, and fail after their work where they cannot."""
    monkeypatch.setenv("SERVICESTACK_TELEMETRY_OPTOUT", "1")


@pytest.mark.parametrize("tool", SAVED)
def test_a_tool_saves_the_classes_and_brings_them_up_to_date(site, tmp_path, tool):
    address = f"http://{site.host}:{site.port}"
    assert f"Saved to: {SAVED[tool]}" in tools.run(tools.program(tool), address, cwd=tmp_path)
    file = tmp_path / SAVED[tool]
    whole = file.read_text()
    assert f"BaseUrl: {address}\n" in whole
    chosen = _with_option(whole)
    file.write_text(chosen)
    assert f"Updated: {SAVED[tool]}" in tools.run(tools.program(tool), file.name, cwd=tmp_path)
    assert "GetAiChatUsage" in file.read_text()
    assert "CreateApiKey" not in file.read_text()
    assert "CreateApiKey" in whole


def _with_option(text: str) -> str:
    """The file as a person edits it: the marker is taken away and a value written."""
    (line,) = [line for line in text.splitlines() if line.endswith("IncludeTypes: ")]
    marker = "'" if line.startswith("'") else ""
    return text.replace(line, f"{marker}IncludeTypes: GetAiChatUsage.*", 1)


def test_a_tool_says_what_it_did_not_get(site, tmp_path):
    program = tools.program("ts-ref")
    with pytest.raises(AssertionError, match="Invalid Response"):
        tools.run(program, f"http://{site.host}:{site.port}/nowhere", cwd=tmp_path)
