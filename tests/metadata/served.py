"""Generated files as a client's tool saves them, in a folder of a test."""

from pathlib import Path

from kvot.contract import ROUTES
from kvot.metadata.model import JsonCase, model_of
from kvot.metadata.types import page_source, types_source
from tests.metadata.golden import BASE_URL, NOW


def types_text(key: str, json_case: JsonCase = "camel", *query: tuple[str, str]) -> str:
    text = types_source(key, model_of(json_case=json_case), query, BASE_URL, NOW)
    assert text is not None
    return text


def save_types(folder: Path, name: str, key: str, json_case: JsonCase = "camel") -> Path:
    path = folder / name
    path.write_text(types_text(key, json_case), encoding="utf-8")
    return path


def page_texts(key: str) -> list[str]:
    """What the page of every operation shows."""
    model = model_of()
    return [page_source(key, model, operation) or "" for operation in ROUTES]


def save_pages(folder: Path, suffix: str, key: str) -> list[Path]:
    """What the page of every operation shows, a file each."""
    paths = []
    for position, text in enumerate(page_texts(key)):
        paths.append(folder / f"page{position}.{suffix}")
        paths[-1].write_text(text, encoding="utf-8")
    return paths
