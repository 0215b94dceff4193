"""What images count at OpenAI's models, by its published figures; those of a request are held at no less."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.gateway.dialect import Size
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.openai.images import ELSEWHERE_TOKENS_MAX, FAMILIES, LOOKED_AT_MAX, Images
from kvot.gateway.providers.pixels import HEAD_CHARS_MAX, Pixels, pixels_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\0\0\0"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(width: int, height: int, *before: bytes, frame: int = 0xC0) -> bytes:
    head = segment(frame, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))
    return b"\xff\xd8" + b"".join(before) + head + b"\xff\xda" + bytes(9)


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


SIZED = url(png(1024, 1024))
UNKNOWN = "https://example.com/a.png"

# Model, base and tile tokens. OpenAI: an image of 1024 by 1024 has four tiles, of 2048 by 4096 six.
TILES = [
    ("gpt-4o", 85, 170),
    ("gpt-4.1", 85, 170),
    ("gpt-4o-2024-08-06", 85, 170),
    ("gpt-4o-mini", 2_833, 5_667),
    ("gpt-4o-mini-2024-07-18", 2_833, 5_667),
    ("ft:gpt-4o-mini-2024-07-18:owner::id", 2_833, 5_667),
    ("gpt-5", 70, 140),
    ("gpt-5-chat-latest", 70, 140),
    ("o1", 75, 150),
    ("o1-pro", 75, 150),
    ("o3", 75, 150),
    ("computer-use-preview", 65, 129),
]


@pytest.mark.parametrize(("model", "base", "tile"), TILES)
def test_models_of_tiles_count_as_published(model: str, base: int, tile: int):
    images = Images(model, is_openai=True)
    assert images.counted(SIZED).most == base + 4 * tile
    assert images.counted(url(png(2048, 4096)), "high").most == base + 6 * tile
    assert images.counted(url(png(128, 64))).most == base + tile
    assert images.counted(UNKNOWN, "auto").most == base + 8 * tile
    assert images.counted(url(png(4096, 8192)), "low").most == base


# Model, multiplier, budgets of patches at `high` and by itself. OpenAI: 1,024 patches of 1024 by 1024 pixels.
PATCHES = [
    ("gpt-5-mini", 1.62, 1_536, 1_536),
    ("gpt-5.4-mini", 1.62, 1_536, 1_536),
    ("gpt-4.1-mini-2025-04-14", 1.62, 1_536, 1_536),
    ("gpt-5-nano", 2.46, 1_536, 1_536),
    ("gpt-5.4-nano", 2.46, 1_536, 1_536),
    ("gpt-4.1-nano", 2.46, 1_536, 1_536),
    ("o4-mini", 1.72, 1_536, 1_536),
    ("gpt-5.4", 1.2, 2_500, 10_000),
    ("gpt-5.5-2026-04-23", 1.2, 2_500, 10_000),
    ("gpt-5.6-sol", 1.2, 2_500, 30_000),
    ("gpt-6-astra", 1.2, 2_500, 30_000),
]


@pytest.mark.parametrize(("model", "multiplier", "high", "original"), PATCHES)
def test_models_of_patches_count_as_published(model: str, multiplier: float, high: int, original: int):
    images = Images(model, is_openai=True)
    assert images.counted(SIZED).most - 1 < 1_024 * multiplier <= images.counted(SIZED).most
    assert images.counted(UNKNOWN).most - 1 < original * multiplier <= images.counted(UNKNOWN).most
    assert images.counted(UNKNOWN, "high").most - 1 < high * multiplier <= images.counted(UNKNOWN, "high").most
    assert images.counted(url(png(1800, 2400)), "high").most >= 1_452 * multiplier, "once it is made smaller"
    assert images.counted(UNKNOWN, "low").most - 1 < 256 * multiplier <= images.counted(UNKNOWN, "low").most


# What others measured and published, beside their words.
@pytest.mark.parametrize(
    ("model", "pixels", "detail", "billed"),
    [
        ("gpt-4o-mini-2024-07-18", (128, 64), "high", 8_512 - 12),
        ("gpt-4o-mini-2024-07-18", (128, 64), "low", 2_845 - 12),
        ("gpt-4.1-mini", (4000, 1474), None, 2_488),
        ("gpt-5-mini", (2048, 768), None, 1_844),
        ("gpt-5.2", (2048, 768), None, 1_844),
        ("gpt-6-astra", (1280, 720), "high", 1_104),
        ("gpt-6-astra", (1280, 720), "low", 173),
    ],
)
def test_no_image_was_billed_more_than_is_held(model: str, pixels: tuple[int, int], detail: str | None, billed: int):
    assert Images(model, is_openai=True).counted(url(png(*pixels)), detail).most >= billed


@pytest.mark.parametrize(
    "model", ["m", "gpt-7", "gpt-5.6-mini", "gpt-4o-nano", "my-deployment", "gpt-50", "o3-mini", ""]
)
@pytest.mark.parametrize("detail", [None, "low", "high", 5, {}])
@pytest.mark.parametrize("data", [SIZED, UNKNOWN, None])
def test_a_model_that_nobody_knows_counts_as_the_one_that_counts_most(model: str, detail: object, data: object):
    most = Images(model, is_openai=True).counted(data, detail).most
    assert most == max(Images(family, is_openai=True).counted(data, detail).most for family, _ in FAMILIES)


@pytest.mark.parametrize(
    ("dialect", "model", "most"),
    [
        ("openai", "m", 48_169),
        ("azure", "m", 48_169),
        ("azure", "gpt-4o", 1_445),
        ("compatible", "m", ELSEWHERE_TOKENS_MAX),
        ("compatible", "openai/gpt-4o-mini", 48_169),
        ("xai", "grok-4", ELSEWHERE_TOKENS_MAX),
    ],
)
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
def test_a_request_holds_each_of_its_images(dialect: str, model: str, most: int, path: str):
    chat = {"type": "image_url", "image_url": {"url": UNKNOWN}}
    parts = [chat] if path == "/chat/completions" else [{"type": "input_image", "image_url": UNKNOWN}]
    name = "messages" if path == "/chat/completions" else "input"
    size = size_of(dialect, path, {"model": model, name: [{"role": "user", "content": parts * 2}]})
    assert size.media_tokens + size.spare_tokens == 2 * most
    assert 0 < size.media_tokens <= 2 * (2_833 + 4 * 5_667), "what an estimate charges is no bound"


@pytest.mark.parametrize("result", [base64.b64encode(png(1024, 1024)).decode(), None])
def test_an_image_that_was_made_earlier_is_read_again(result: str | None):
    item = {"type": "image_generation_call", "id": "ig_1", "result": result}
    size = size_of("openai", "/responses", {"model": "gpt-4o", "input": [item]})
    assert size.media_tokens + size.spare_tokens == (85 + 4 * 170 if result else 85 + 8 * 170)


def size_of(dialect: str, path: str, body: dict[str, Any]) -> Size:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    assert found.endpoint.read
    return found.endpoint.read(json.dumps(body).encode(), {}).size


# -- the size of an image in pixels -----------------------------------------------------------------------------------

PREVIEW = segment(0xE1, b"Exif\0\0" + jpeg(160, 120))


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (png(3, 70_000), (3, 70_000)),
        (jpeg(640, 480), (640, 480)),
        (jpeg(640, 480, frame=0xC2), (640, 480)),
        (jpeg(640, 480, PREVIEW, b"\xff\xff", segment(0xC4, bytes(40))), (640, 480)),
        (jpeg(640, 480, *[PREVIEW] * 300), None),
        (jpeg(640, 480, b"\xff" * 90_000), (640, 480)),
        (jpeg(640, 480, segment(0xE2, bytes(60_000)), segment(0xE2, bytes(60_000))), None),
        (jpeg(0, 480), None),
        (jpeg(640, 480)[:10], None),
        (png(0, 5), None),
        (png(5, 5)[:20], None),
        (b"\xff\xd8\xff", None),
        (b"GIF89a" + bytes(99), None),
        (b"", None),
    ],
)
def test_an_images_size_is_read_from_its_head(data: bytes, pixels: tuple[int, int] | None):
    assert pixels_of(url(data)) == pixels_of(base64.b64encode(data).decode()) == pixels


@pytest.mark.parametrize(
    "data", [None, 5, "", "data:image/png;base64,", "data:image/png;base64,iVBOR\nw0KGgo", "å" * 40]
)
def test_what_is_no_base64_that_every_reader_reads_alike_has_no_size(data: object):
    assert pixels_of(data) is None


# Pillow passes over FF 00 alone, then reads the segment that seems to be its length, and then the frame.
HIDDEN = b"\xff\x00" + segment(0xFE, bytes(65_000))
LURE = segment(0xFE, bytes(65_534 - len(HIDDEN) - 2) + jpeg(1, 1)[2:])


@pytest.mark.parametrize("marker", [0x00, 0x01, 0x02, 0xC8, 0xD0, 0xD8, 0xD9, 0xDA, 0xDC, 0xDE, 0xF0])
def test_a_jpeg_that_decoders_may_read_otherwise_has_no_size(marker: int):
    data = jpeg(2048, 2048, b"\xff" + bytes([marker]) + HIDDEN[2:], LURE)
    assert pixels_of(url(data)) is None


def test_of_more_images_than_openai_takes_each_counts_as_the_largest():
    images = Images("gpt-4o", is_openai=True)
    assert {images.counted(SIZED).most for _ in range(LOOKED_AT_MAX)} == {85 + 4 * 170}
    assert images.counted(SIZED).most == images.counted(UNKNOWN).most == 85 + 8 * 170


def test_of_a_long_image_only_the_head_is_looked_at():
    assert pixels_of(url(png(7, 9)) + "A" * HEAD_CHARS_MAX) == Pixels(7, 9)
    assert pixels_of(url(png(7, 9) + bytes(99)) + "!") == Pixels(7, 9)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]))
def test_any_bytes_have_a_size_or_none(data: bytes, head: bytes):
    pixels = pixels_of(url(head + data))
    assert pixels is None or min(pixels) > 0
