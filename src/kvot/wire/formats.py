"""FORMATS: every format that bodies and replies can have. A format is one module and one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kvot.wire import json, jsonl, jsv
from kvot.wire.style import Style


@dataclass(frozen=True, slots=True)
class Format:
    """`media_types` are what `Accept` and `Content-Type` may call it. `write` None: it is read only.

    `write(response, style)` gives the bytes of a reply. `read(body, members_max)` gives the document in a body and
    raises Malformed.
    """

    key: str
    content_type: str
    media_types: tuple[str, ...]
    read: Callable[[bytes, int], Any]
    write: Callable[[msgspec.Struct, Style], bytes] | None


JSON = Format("json", "application/json; charset=utf-8", ("application/json", "text/json"), json.read, json.write)
JSV = Format("jsv", "text/jsv", ("text/jsv", "application/jsv", "application/x-jsv"), jsv.read, jsv.write)
JSONL = Format(
    "jsonl",
    "text/jsonl",
    ("text/jsonl", "application/jsonl", "application/x-ndjson", "application/x-jsonlines"),
    jsonl.read,
    None,
)

FORMATS: dict[str, Format] = {each.key: each for each in (JSON, JSV, JSONL)}
"""By key, as `?format=` and extensions name them; in order of preference."""

BY_MEDIA_TYPE: dict[str, Format] = {name: each for each in FORMATS.values() for name in each.media_types}
