"""Where a call goes: the provider's address, and the path that its client asked for."""

import pytest

from kvot.gateway.provider import Provider
from kvot.gateway.providers import DIALECTS


@pytest.mark.parametrize(
    ("dialect", "base_url", "path", "url"),
    [
        ("openai", "https://api.openai.com/v1", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "https://api.openai.com/v1", "/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "http://127.0.0.1:9000", "/v1/models", "http://127.0.0.1:9000/v1/models"),
        ("mistral", "https://api.mistral.ai/v1", "/v1/models", "https://api.mistral.ai/v1/models"),
        ("compatible", "https://host/v1beta/openai", "/v1/models", "https://host/v1beta/openai/models"),
        ("anthropic", "https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("anthropic", "https://api.anthropic.com/v1", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("anthropic", "https://host/proxy", "/v1/messages", "https://host/proxy/v1/messages"),
        ("gemini", "https://host", "/v1beta/models/m:generateContent", "https://host/v1beta/models/m:generateContent"),
        ("ollama", "http://127.0.0.1:11434", "/api/chat", "http://127.0.0.1:11434/api/chat"),
    ],
)
def test_a_path_is_put_behind_the_base_address_with_its_version_once(dialect, base_url, path, url):
    provider = Provider("p", DIALECTS[dialect], base_url)
    assert provider.url(path, "") == url
    assert provider.url(path, "alt=sse") == f"{url}?alt=sse"


@pytest.mark.parametrize("base", ["", "/openai", "/openai/v1"])
@pytest.mark.parametrize(
    ("path", "placed"),
    [
        ("/openai/deployments/d/chat/completions", "/openai/deployments/d/chat/completions"),
        ("/deployments/d/embeddings", "/openai/deployments/d/embeddings"),
        ("/openai/responses", "/openai/responses"),
        ("/openai/v1/responses", "/openai/v1/responses"),
    ],
)
def test_a_path_of_azure_is_counted_from_the_root_of_its_resource(base: str, path: str, placed: str):
    provider = Provider("p", DIALECTS["azure"], f"https://res.openai.azure.com{base}")
    assert provider.url(path, "api-version=1") == f"https://res.openai.azure.com{placed}?api-version=1"


def test_a_key_is_never_shown():
    assert "sk-secret" not in repr(Provider("p", DIALECTS["openai"], "https://api.openai.com/v1", "sk-secret"))
