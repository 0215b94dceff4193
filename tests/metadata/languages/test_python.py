"""Python classes, with the official client from PyPI."""

import pytest

from tests.metadata import tools
from tests.metadata.served import page_texts, save_types, types_text

SENDS = """
import dtos
from servicestack import from_json, to_json
request = dtos.RecordAiChatUsage(company_id="c", tokens_used=3)
assert to_json(request) == '{"companyId": "c", "tokensUsed": 3}', to_json(request)
assert from_json(dtos.RecordAiChatUsage, to_json(request)) == request
reply = from_json(dtos.AiChatUsageResponse, '{"companyId":"c","tokensUsed":120,"tokenLimit":1000,'
    '"tokensRemaining":880,"isWithinBudget":true,"windowDays":30}')
assert reply.tokens_used == 120 and reply.is_within_budget is True and reply.response_status is None
assert isinstance(request, dtos.ICompany)
"""

LISTS_AND_DATES = """
import dtos
from servicestack import from_json, to_json
reply = from_json(dtos.ApiKeyQueryResponse, '{"results":[{"id":"k","roles":["r"],"networks":[],'
    '"createdAt":"/Date(1767225600000)/"}]}')
(key,) = reply.results
assert key.roles == ["r"] and key.networks == [] and key.expires_at is None
assert key.created_at.timestamp() == 1767225600, key.created_at
assert from_json(dtos.ApiKeyQueryResponse, to_json(reply)).results[0].id == "k"
sent = dtos.ImportAiChatUsage(events=[dtos.AiChatUsageEvent(id="e", tokens=-5)])
assert from_json(dtos.ImportAiChatUsage, to_json(sent)) == sent
"""

CALLS = """
import http.server, threading
import dtos
from servicestack import JsonServiceClient

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.command + " " + self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"companyId":"c","tokensUsed":7,"id":"k"}')
    do_DELETE = do_GET
    def log_message(self, *_): pass

asked = []
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = JsonServiceClient(f"http://127.0.0.1:{server.server_port}")
reply = client.get(dtos.GetAiChatUsage(company_id="c"))
assert type(reply) is dtos.AiChatUsageResponse and reply.tokens_used == 7, reply
assert type(client.delete(dtos.RevokeApiKey(id="k"))) is dtos.RevokeApiKeyResponse
assert asked == ["GET /api/GetAiChatUsage?companyId=c", "DELETE /api/RevokeApiKey?id=k"], asked
server.shutdown()
"""


@pytest.mark.parametrize("script", [SENDS, LISTS_AND_DATES, CALLS], ids=["sends", "lists_and_dates", "calls"])
def test_the_official_client_works_with_the_classes(tmp_path, script):
    save_types(tmp_path, "dtos.py", "python")
    (tmp_path / "check.py").write_text(script)
    tools.run(tools.python(), "check.py", cwd=tmp_path)


def test_decorators_of_ones_own_and_a_version_work(tmp_path):
    query = (("DataClass", "@dataclass(frozen=True)"), ("AddImplicitVersion", "7"))
    (tmp_path / "dtos.py").write_text(types_text("python", "camel", *query))
    check = """
import dataclasses, dtos
from servicestack import to_json
request = dtos.GetAiChatUsage(company_id="c")
assert to_json(request) == '{"version": 7, "companyId": "c"}', to_json(request)
try:
    request.company_id = "d"
except dataclasses.FrozenInstanceError:
    pass
else:
    raise AssertionError("not frozen")
"""
    (tmp_path / "check.py").write_text(check)
    tools.run(tools.python(), "check.py", cwd=tmp_path)


def test_the_classes_of_every_page_can_be_executed(tmp_path):
    """The page names ICompany and does not declare it, as published."""
    pages = {f"page{position}.py": text for position, text in enumerate(page_texts("python"))}
    for name, text in pages.items():
        (tmp_path / name).write_text(f"class ICompany: company_id = None\n{text}")
    (tmp_path / "check.py").write_text("\n".join(f"import {name.removesuffix('.py')}" for name in pages))
    tools.run(tools.python(), "check.py", cwd=tmp_path)
