"""How large an image is, from its first bytes as base64 has them: PNG and JPEG, which nearly all are.

It never decodes an image. What it cannot read for certain has no size here, and counts as the largest.
"""

import binascii
import re
from typing import NamedTuple

HEAD_CHARS_MAX = 131_072
"""Looked at, of base64: what stands before a JPEG's size (a preview, a colour profile) is seldom longer."""

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_HEAD_CHARS = 32
_JPEG = b"\xff\xd8"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BESIDE = frozenset({0xC4, 0xCC, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})
"""What stands before a frame with a length: tables, and what applications say. At any other marker decoders differ:
some pass over it alone, and look for a frame in what would be its data."""
_FILL = re.compile(rb"\xff*(?=\xff)")
_JPEG_SEGMENTS_MAX = 64
_JPEG_FRAME_BYTES = 9


class Pixels(NamedTuple):
    width: int
    height: int


def pixels_of(data: object) -> Pixels | None:
    """Of an image in base64, or in a URL that holds it. None: not known."""
    if not isinstance(data, str):
        return None
    match = _DATA_URL.match(data)
    start = match.end() if match else 0
    head = _decoded(data[start : start + _PNG_HEAD_CHARS])
    if head.startswith(_PNG):
        return _sized(int.from_bytes(head[16:20]), int.from_bytes(head[20:24]))
    if head.startswith(_JPEG):
        return _of_jpeg(_decoded(data[start : start + HEAD_CHARS_MAX]))
    return None


def _decoded(text: str) -> bytes:
    """Nothing where a reader that is less strict might see something else."""
    try:
        return binascii.a2b_base64(text[: len(text) // 4 * 4], strict_mode=True)
    except ValueError:
        return b""


def _sized(width: int, height: int) -> Pixels | None:
    return Pixels(width, height) if width and height else None


def _of_jpeg(head: bytes) -> Pixels | None:
    """The first frame's: a preview is inside a segment, and a file with two frames is none."""
    at = len(_JPEG)
    for _ in range(_JPEG_SEGMENTS_MAX):
        if (fill := _FILL.match(head, at)) is not None:  # any number of them may stand before a marker
            at = fill.end()
        if at + _JPEG_FRAME_BYTES > len(head) or head[at] != 0xFF:  # noqa: PLR2004 (how every marker begins)
            return None
        marker = head[at + 1]
        if marker in _JPEG_FRAMES:
            return _sized(int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7]))
        if marker not in _JPEG_BESIDE:
            return None
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None
