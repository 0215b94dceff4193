"""What the tools that OpenAI runs itself may take, beside what a request shows: one use of each, by published figures.

A model may use a tool again and again, and reads all of its input each time: what that takes beyond this is charged
when the call ends. Sources: OpenAI, "Image generation" (its tables, and the formula of its calculator), "Pricing" and
"File search" (2026); for what has no published figure nothing is held. docs/internals/gateway.md has them all.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Any

WEB_SEARCH_TOKENS = 8_000
"""The fixed block that a search counts at gpt-4o-mini and gpt-4.1-mini. Elsewhere it is what was found."""

FILE_RESULT_TOKENS = 800
"""Of a chunk, as files are cut by default."""
FILE_RESULTS, FILE_RESULTS_MAX = 20, 50

PARTIAL_IMAGE_TOKENS = 100
PARTIAL_IMAGES_MAX = 3

EDITED_IMAGE_TOKENS = 1_536
"""Of an image of the request that the tool reads as well: that many patches were measured, at most."""
EDITED_IMAGE_HIGH_TOKENS = 65 + 4 * 129 + 6_240
"""With `input_fidelity: high` at the first models: four tiles, and what is added for one that is not square."""

_Tool = Mapping[str, Any]
_MAKING = "image_generation"

_TABLE_SIZES = ("1024x1024", "1024x1536", "1536x1024")
_Made = dict[str, tuple[int, int, int]]
_FIRST: _Made = {"low": (272, 408, 400), "medium": (1_056, 1_584, 1_568), "high": (4_160, 6_240, 6_208)}
# By its price for an image, at 8 dollars a million, rounded up: no table of its own is published.
_FIRST_MINI: _Made = {"low": (688, 813, 813), "medium": (1_438, 1_938, 1_938), "high": (4_563, 6_563, 6_563)}
_Grids = dict[str, int]
_SECOND: _Grids = {"low": 16, "medium": 48, "high": 96}
_THIRD: _Grids = {"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96}
_MODELS: list[tuple[str, _Made | _Grids]] = [
    (r"gpt-image-1(\.5)?", _FIRST),
    (r"gpt-image-1-mini", _FIRST_MINI),
    (r"gpt-image-2", _SECOND),
    (r"gpt-image-2\.5(-[a-z]+)?", _THIRD),
]
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")

_LARGEST = (2_880, 2_880)
"""Of the sizes that may be asked for, the one with most tokens."""

_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")


TOOLS_MAX = 128
"""Of a request, as OpenAI has it. Any more that make images count as the one that takes most."""

_MOST: _Tool = {"partial_images": PARTIAL_IMAGES_MAX, "input_fidelity": "high", "input_image_mask": ""}


def hosted_tokens(tools: object, images: int) -> int:
    """Of all such tools of a request that has so many images."""
    making = [tool for tool in _objects(tools) if tool.get("type") == _MAKING]
    others = sum(_tokens(tool) for tool in _objects(tools))
    beyond = len(making[TOOLS_MAX:])
    known = sum(_making_tokens(tool, images) for tool in making[:TOOLS_MAX])
    return others + known + (beyond * _making_tokens(_MOST, images) if beyond else 0)


def added_tools(items: object) -> list[object]:
    """Those that items of the input bring along, as `additional_tools` do. Their text is gathered with the item."""
    of_items = [item["tools"] for item in _objects(items) if isinstance(item.get("tools"), list)]
    return [tool for tools in of_items for tool in tools]


def _objects(tools: object) -> Iterator[_Tool]:
    return (tool for tool in tools if type(tool) is dict) if isinstance(tools, list) else iter(())


def _making_tokens(tool: _Tool, images: int) -> int:
    return _made_image(tool) + _partial_images(tool) + _edited_images(tool, images)


def _tokens(tool: _Tool) -> int:
    """Of one that makes no images."""
    kind = tool.get("type")
    if not isinstance(kind, str):
        return 0
    if kind == "file_search":
        results = tool.get("max_num_results")
        return FILE_RESULT_TOKENS * _between(results, 1, FILE_RESULTS_MAX, FILE_RESULTS)
    return WEB_SEARCH_TOKENS if kind.startswith("web_search") else 0


def _between(value: object, least: int, most: int, default: int) -> int:
    """A number that the provider would not take is as if there was none."""
    return value if type(value) is int and least <= value <= most else default


def _partial_images(tool: _Tool) -> int:
    return PARTIAL_IMAGE_TOKENS * _between(tool.get("partial_images"), 0, PARTIAL_IMAGES_MAX, 0)


def _edited_images(tool: _Tool, images: int) -> int:
    if tool.get("action") == "generate":
        return 0
    mask = tool.get("input_image_mask") is not None
    each = EDITED_IMAGE_HIGH_TOKENS if tool.get("input_fidelity") == "high" else EDITED_IMAGE_TOKENS
    return each * (images + mask)


def _made_image(tool: _Tool) -> int:
    """Where the request leaves the model, the size or the quality open, the most that they may come to."""
    model, size, quality = tool.get("model"), tool.get("size"), tool.get("quality")
    name = _DATE.sub("", model) if isinstance(model, str) else ""
    fitting = [made for pattern, made in _MODELS if re.fullmatch(pattern, name)] or [made for _, made in _MODELS]
    return max(_image_tokens(each, size) for made in fitting for each in _of_quality(made, quality))


def _of_quality(made: _Made | _Grids, quality: object) -> Iterable[tuple[int, int, int] | int]:
    return [made[quality]] if isinstance(quality, str) and quality in made else made.values()


def _image_tokens(made: tuple[int, int, int] | int, size: object) -> int:
    if isinstance(made, int):
        return grid_tokens(made, *_sides(size))
    return made[_TABLE_SIZES.index(str(size))] if size in _TABLE_SIZES else max(made)


def _sides(size: object) -> tuple[int, int]:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    return sides if min(sides) else _LARGEST


def grid_tokens(base: int, width: int, height: int) -> int:
    """Of an image by gpt-image-2 and later: the formula of OpenAI's calculator."""
    across = round(base * min(width, height) / max(width, height))  # halves go to the even number, there as here
    return ceil(base * across * (2_000_000 + width * height) / 4_000_000)
