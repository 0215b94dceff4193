"""The dialects that providers speak. To add one: a module here, a line in DIALECTS, recorded streams in the tests."""

from kvot.gateway.dialect import Dialect

DIALECTS: dict[str, Dialect] = {}
"""By the name that settings give."""
