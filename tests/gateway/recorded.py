"""Recorded streams and the meters that a client's request leads to."""

import json
from pathlib import Path

from kvot.gateway.dialect import Meter
from kvot.gateway.providers import DIALECTS
from kvot.gateway.tokens import Reported, TokenCount

STREAMS = Path(__file__).parent / "streams"


def recorded(dialect: str, ending: str) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (STREAMS / dialect).glob(f"*.{ending}")}


def meter_for(dialect: str, path: str, request: object, content_type: str, **query: str) -> Meter:
    found = DIALECTS[dialect].find("POST", path, query)
    assert found is not None
    assert found.endpoint.read
    assert found.endpoint.meter
    ask = found.endpoint.read(json.dumps(request).encode(), found.variables)
    return found.endpoint.meter(ask, content_type)


def final(*parts: int, mismatch: int | None = None) -> Reported:
    """Of uncached input, cache read, cache written, visible output, reasoning."""
    return Reported(TokenCount(*parts), True, mismatch)


def part(*parts: int) -> Reported:
    return Reported(TokenCount(*parts), False)
