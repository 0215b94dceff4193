"""The dialects that providers speak. To add one: a module here, a line in DIALECTS, recorded streams in the tests."""

from kvot.gateway.dialect import Dialect
from kvot.gateway.providers import openai
from kvot.gateway.providers.anthropic.dialect import Anthropic

DIALECTS: dict[str, Dialect] = {
    **openai.DIALECTS,  # and what is compatible with it
    "anthropic": Anthropic(),
}
"""By the name that settings give."""
