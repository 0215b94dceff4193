"""What a request's structure counts, said again as plainly as can be, to compare the sizes of the dialects with."""

import json
from dataclasses import replace
from typing import Any

from kvot.gateway.dialect import Size
from kvot.gateway.providers.sizes import FRAME_BYTES


def framed(value: Any) -> int:
    """Of a value that counts with its structure: its characters, as JSON has them, and a frame for each value and name.
    (Numbers are to be such that all write them alike.)"""
    if isinstance(value, dict):
        return FRAME_BYTES + sum(framed(name) + framed(each) for name, each in value.items())
    if isinstance(value, list):
        return FRAME_BYTES + sum(map(framed, value))
    quotes = 2 if isinstance(value, str) else 0
    return len(json.dumps(value, ensure_ascii=False).encode()) - quotes + FRAME_BYTES


def unframed(size: Size) -> Size:
    """The text and the media alone."""
    return replace(size, frame_bytes=0)


def bytes_of(size: Size) -> int:
    """All that is held by its bytes."""
    return size.text_bytes + size.frame_bytes
