"""The dialects that providers speak. To add one: a module here, a line in DIALECTS, recorded streams in the tests."""

from kvot.gateway.dialect import Dialect
from kvot.gateway.providers import openai
from kvot.gateway.providers.anthropic.dialect import Anthropic
from kvot.gateway.providers.gemini.dialect import Gemini
from kvot.gateway.providers.ollama.dialect import Ollama

DIALECTS: dict[str, Dialect] = {
    **openai.DIALECTS,  # and what is compatible with it
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "ollama": Ollama(),
}
"""By the name that settings give."""
