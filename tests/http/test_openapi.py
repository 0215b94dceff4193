"""The OpenAPI document against the server that sends it: it is valid, and what the server says is what it describes."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from kvot.contract import ROUTES
from kvot.core.budget import Rules
from kvot.http.app import HttpSettings
from kvot.http.pages import Pages
from kvot.wire.style import JsonCase, Style
from tests.http.conftest import NOW_MS, FailingStore, Server, make_app
from tests.metadata import tools

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
VALIDATE = """
import json
from openapi_spec_validator import OpenAPIV31SpecValidator
with open("openapi.json") as file:
    OpenAPIV31SpecValidator(json.load(file)).validate()
"""


@pytest.fixture(scope="module", params=list(JsonCase)[:2], ids=str)
def site(request) -> Iterator[Server]:
    style, now = Style(request.param), datetime.fromtimestamp(NOW_MS / 1000, UTC)
    app = make_app(HttpSettings(style=style), FailingStore(Rules()), surfaces=[Pages(style, lambda: now)])
    site = Server(app).start()
    yield site
    assert site.stop() == 0


def test_the_document_is_valid_as_it_is_sent(site, tmp_path):
    (tmp_path / "openapi.json").write_bytes(site.send("GET", "/openapi.json").body)
    (tmp_path / "check.py").write_text(VALIDATE)
    tools.run(tools.python(), "check.py", cwd=tmp_path)


def test_the_document_names_the_server_as_its_caller_does(site):
    document = site.send("GET", "/openapi.json", host="kvot.example").json
    assert document["servers"] == [{"url": "http://kvot.example"}]


@pytest.mark.parametrize(
    ("verb", "target", "status"),
    [("GET", "usage/breakdown", "400"), ("GET", "holds/none", "default"), ("POST", "holds?tokens=2000000", "default")],
)
def test_an_error_as_a_problem_is_one_that_the_document_describes(site, verb, target, status):
    document = site.send("GET", "/openapi.json").json
    accepted = {"x_api_key": "company", "accept": "application/problem+json"}
    problem = site.send(verb, f"/assistant/ai-chat/{target}", **accepted)
    schemas = document["components"]["schemas"]
    described = document["components"]["responses"][status]["content"][problem.headers["content-type"]]["schema"]
    assert described == {"$ref": "#/components/schemas/Problem"}
    for name, each in [("Problem", problem.json), *(("ProblemError", one) for one in problem.json.get("errors", []))]:
        assert set(schemas[name]["required"]) <= set(each) <= set(schemas[name]["properties"])


def test_every_reply_is_one_that_the_document_describes(site, tmp_path):
    address = f"http://{site.host}:{site.port}/openapi.json"
    how = ["--phases", "examples,fuzzing", "--max-examples", "5", "--generation-deterministic", "--no-color"]
    said = tools.run(
        *(tools.program("schemathesis"), "run", address, "--checks", CHECKS, *how, "--header", "x-api-key: super"),
        cwd=tmp_path,
    )
    routes = sum(len(operation.routes) for operation in ROUTES)
    assert f"Tested: {routes}" in said, said
