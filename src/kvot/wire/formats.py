"""FORMATS: every format that bodies and replies can have. A format is one module and one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kvot.wire import csv, html, json, jsonl, jsonp, jsv, msgpack, xml
from kvot.wire.rows import Reply
from kvot.wire.style import Style


@dataclass(frozen=True, slots=True)
class Format:
    """`media_types` are what `Accept` and `Content-Type` may call it.

    `write(reply, style)` gives the bytes of a reply. `read(body, members_max)` gives the document in a body and raises
    Malformed; a format of rows gives a list, one document a row.
    """

    key: str
    content_type: str
    media_types: tuple[str, ...]
    read: Callable[[bytes, int], Any]
    write: Callable[[Reply, Style], bytes]
    is_rows: bool = False


JSON = Format("json", "application/json; charset=utf-8", ("application/json", "text/json"), json.read, json.write)
JSV = Format("jsv", "text/jsv", ("text/jsv", "application/jsv", "application/x-jsv"), jsv.read, jsv.write)
XML = Format("xml", "application/xml", ("application/xml", "text/xml"), xml.read, xml.write)
CSV = Format("csv", "text/csv", ("text/csv",), csv.read, csv.write, is_rows=True)
JSONL = Format(
    "jsonl",
    "text/jsonl",
    ("text/jsonl", "application/jsonl", "application/x-ndjson", "application/x-jsonlines"),
    jsonl.read,
    jsonl.write,
    is_rows=True,
)
MSGPACK = Format(
    "msgpack", "application/x-msgpack", ("application/x-msgpack", "application/msgpack"), msgpack.read, msgpack.write
)
HTML = Format("html", "text/html; charset=utf-8", ("text/html",), html.read, html.write)

FORMATS: dict[str, Format] = {each.key: each for each in (JSON, JSV, XML, CSV, JSONL, MSGPACK, HTML)}
"""By key, as `?format=` and extensions name them; in the order in which pages list them."""

BY_MEDIA_TYPE: dict[str, Format] = {name: each for each in FORMATS.values() for name in each.media_types}

JSONP = Format("jsonp", "text/javascript", (), json.read, jsonp.write)
"""Not in the table: no extension and no `Accept` leads to it."""
