"""The golden files: what every language writes, kept as text so that a change of it is read before it is made.

Each is a function of the contract alone. `python -m tests.metadata.regenerate` writes them anew.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from kvot.contract import OPERATIONS
from kvot.metadata.languages import LANGUAGES, PAGE_KEYS
from kvot.metadata.model import JsonCase, Model, model_of
from kvot.metadata.page import operation_page
from kvot.metadata.samples import SAMPLE_FORMATS
from kvot.metadata.types import page_source, types_source
from tests.metadata.visible import visible_text

FOLDER = Path(__file__).parent / "golden"
BASE_URL = "https://api.bookmore.com"
NOW = datetime(2026, 8, 6, 2, 13, 26)

INCLUDED = [("IncludeTypes", "RecordAiChatUsage.*,ImportAiChatUsage.*,ApiKeyQuery.*,RevokeApiKey.*")]
"""A list, dates, roles, a path variable, an optional of every kind: what the languages write differently."""


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of every golden file. A second casing has a file of its own only where it differs."""
    camel, pascal = _texts("camel"), dict(_texts("pascal"))
    for name, text in camel:
        yield f"{name}.txt", text
        if pascal[name] != text:
            yield f"{name}.pascal.txt", pascal[name]


def _texts(json_case: JsonCase) -> Iterator[tuple[str, str]]:
    model = model_of(json_case=json_case)
    for key in PAGE_KEYS:
        yield f"page/{key}", _page(key, model)
    for key in SAMPLE_FORMATS:
        yield f"operation/{key}", _operation_page(key, model)
    for key in LANGUAGES:
        yield f"types/{key}", types_source(key, model, INCLUDED, BASE_URL, NOW) or ""


def _page(key: str, model: Model) -> str:
    return page_source(key, model, OPERATIONS["recordaichatusage"]) or ""


def _operation_page(key: str, model: Model) -> str:
    html = operation_page(OPERATIONS["recordaichatusage"], key, model, "api.bookmore.com")
    return visible_text(html or "")
