"""What the tools that OpenAI runs itself may take, by its published figures."""

import json
from typing import Any

import pytest

from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.openai.hosted import TOOLS_MAX, grid_tokens, hosted_tokens

IMAGE = {"type": "image_generation", "action": "generate"}
SIZES = ("1024x1024", "1024x1536", "1536x1024")

# OpenAI, "Image generation": tokens of the first models, by quality, for each of SIZES.
FIRST = [("low", (272, 408, 400)), ("medium", (1_056, 1_584, 1_568)), ("high", (4_160, 6_240, 6_208))]


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1.5", "gpt-image-1-2025-04-23"])
@pytest.mark.parametrize(("quality", "tokens"), FIRST)
def test_an_image_of_the_first_models_is_by_their_table(model: str, quality: str, tokens: tuple[int, int, int]):
    tools = [IMAGE | {"model": model, "quality": quality, "size": size} for size in (*SIZES, "auto")]
    assert [hosted_tokens([tool], 0) for tool in tools] == [*tokens, max(tokens)]


# OpenAI's calculator, "GPT Image 2.5 and GPT Image 2 output tokens".
@pytest.mark.parametrize(
    ("model", "quality", "size", "tokens"),
    [
        ("gpt-image-2", "low", "1024x1024", 196),
        ("gpt-image-2", "medium", "1024x1024", 1_756),
        ("gpt-image-2", "high", "1024x1024", 7_024),
        ("gpt-image-2", "low", "1024x1536", 158),
        ("gpt-image-2", "medium", "1536x1024", 1_372),
        ("gpt-image-2", "high", "1536x1024", 5_488),
        ("gpt-image-2", "high", "1024x640", 3_824),
        ("gpt-image-2", "high", "3072x1024", 3_952),
        ("gpt-image-2", "high", "2560x1440", 7_370),
        ("gpt-image-2", "high", "3840x1280", 5_311),
        ("gpt-image-2", "high", "2048x2048", 14_272),
        ("gpt-image-2", "high", "3840x2160", 13_342),
        ("gpt-image-2-2026-04-21", "high", "3840x2160", 13_342),
        ("gpt-image-2.5-flare", "low", "1024x1024", 196),
        ("gpt-image-2.5-flare", "low", "1536x1024", 158),
        ("gpt-image-2.5-sunburst-2026-09-08", "low", "2560x1440", 205),
    ],
)
def test_an_image_of_the_later_models_is_by_their_formula(model: str, quality: str, size: str, tokens: int):
    assert hosted_tokens([IMAGE | {"model": model, "quality": quality, "size": size}], 0) == tokens


def test_no_size_that_may_be_asked_for_has_more_tokens_than_the_largest_square():
    """Sides of 16, at most 3,840; at most three to one; at most 8,294,400 pixels."""
    sizes = [(w, h) for w in range(16, 3_841, 16) for h in range(16, w + 1, 16) if w <= 3 * h and w * h <= 8_294_400]
    for base in (16, 24, 48, 64, 96):
        assert max(grid_tokens(base, *size) for size in sizes) == grid_tokens(base, 2_880, 2_880)


@pytest.mark.parametrize("open_", [{}, {"model": None}, {"model": "gpt-image-9", "quality": "auto", "size": "auto"}])
def test_what_is_left_open_is_held_at_the_most_that_it_may_come_to(open_: dict[str, Any]):
    assert hosted_tokens([IMAGE | open_], 0) == grid_tokens(96, 2_880, 2_880) == 23_719


def test_of_an_unknown_model_quality_and_size_still_count():
    assert hosted_tokens([IMAGE | {"quality": "low", "size": "1024x1024"}], 0) == 688, "the most of all for that"


@pytest.mark.parametrize(
    ("more", "images", "tokens"),
    [
        ({"partial_images": 3}, 0, 300),
        ({"partial_images": 9}, 0, 0),
        ({"partial_images": True}, 0, 0),
        ({}, 2, 0),
        ({"action": "auto"}, 2, 2 * 1_536),
        ({"action": "edit", "input_image_mask": {"file_id": "f"}}, 1, 2 * 1_536),
        ({"action": "edit", "input_fidelity": "high"}, 1, 65 + 4 * 129 + 6_240),
    ],
)
def test_previews_and_the_images_that_it_reads_are_beside_the_image(more: dict[str, Any], images: int, tokens: int):
    tool = IMAGE | {"model": "gpt-image-1", "quality": "low", "size": "1024x1024"} | more
    assert hosted_tokens([tool], images) == 272 + tokens


@pytest.mark.parametrize(
    ("tool", "tokens"),
    [
        ({"type": "web_search"}, 8_000),
        ({"type": "web_search_preview_2025_03_11"}, 8_000),
        ({"type": "file_search"}, 20 * 800),
        ({"type": "file_search", "max_num_results": 3}, 3 * 800),
        ({"type": "file_search", "max_num_results": -3}, 20 * 800),
        ({"type": "file_search", "max_num_results": 10**30}, 20 * 800),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, 0),
        ({"type": "function", "name": "web_search"}, 0),
        ({"type": ["image_generation"]}, 0),
        ({}, 0),
        ("web_search", 0),
    ],
)
def test_each_tool_has_its_constant(tool: object, tokens: int):
    assert hosted_tokens([tool, {"type": "web_search"}], 0) == tokens + 8_000


def test_of_more_tools_than_openai_takes_each_counts_as_the_one_that_takes_most():
    tool = {"type": "image_generation", "model": "gpt-image-1", "size": "1024x1024", "quality": "low"}
    most = tool | {"model": "m", "size": "auto", "quality": "auto", "partial_images": 3, "input_fidelity": "high"}
    each, largest = hosted_tokens([tool], 2), hosted_tokens([most | {"input_image_mask": {}}], 2)
    assert hosted_tokens([tool] * (TOOLS_MAX + 5), 2) == TOOLS_MAX * each + 5 * largest


@pytest.mark.parametrize("tools", [None, {}, "x", 5, []])
def test_what_is_no_list_of_tools_takes_nothing(tools: object):
    assert hosted_tokens(tools, 3) == 0


@pytest.mark.parametrize("odd", [{"size": "0x5"}, {"size": "99999x1"}, {"size": 5}, {"quality": []}, {"model": {}}])
def test_whatever_stands_in_a_tool_it_is_held(odd: dict[str, Any]):
    assert hosted_tokens([IMAGE | odd], 0) >= 6_240


def test_a_request_holds_what_its_tools_may_take_and_no_estimate_charges_it():
    found = DIALECTS["openai"].find("POST", "/responses", {})
    assert found
    assert found.endpoint.read
    image = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}
    body = {"model": "gpt-4o", "input": [{"content": [image]}], "tools": [{"type": "image_generation"}]}
    size = found.endpoint.read(json.dumps(body).encode(), {}).size
    assert (size.media_tokens, size.spare_tokens) == (85 + 256, 23_719 + 1_536)


@pytest.mark.parametrize("tools", [None, [], [{"type": "file_search", "max_num_results": 3}]])
def test_so_it_does_of_tools_that_its_input_brings_along(tools: object):
    found = DIALECTS["openai"].find("POST", "/responses", {})
    assert found
    assert found.endpoint.read
    added = {"type": "additional_tools", "role": "developer", "tools": [{"type": "web_search"}, "x"]}
    body = {"model": "gpt-4o", "input": [added, {"tools": 5}, "x"], "tools": tools}
    size = found.endpoint.read(json.dumps(body).encode(), {}).size
    assert (size.media_tokens, size.spare_tokens) == (256, 8_000 + (2_400 if tools else 0))
