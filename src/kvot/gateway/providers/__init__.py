"""The dialects that providers speak. To add one: a module here, a line in DIALECTS, recorded streams in the tests."""

from kvot.gateway.dialect import Dialect
from kvot.gateway.providers import openai

DIALECTS: dict[str, Dialect] = {
    **openai.DIALECTS,  # and what is compatible with it
}
"""By the name that settings give."""
