"""What a receipt takes in, and what it never does, whatever a provider writes."""

import json
from string import ascii_letters
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.model import RECEIPT_LENGTH_MAX, TOKENS_MAX
from kvot.gateway.receipt import KINDS, RAW_USAGE_BYTES_MAX, Told, modality, numbers, receipt_text
from kvot.gateway.tokens import Reported, TokenCount

REPORTED = Reported(TokenCount(10, 20, 30, 40, 50), True, 99)


def receipt(*values: Any) -> Any:
    return json.loads(receipt_text("chat", *values))


def test_it_has_what_was_told_and_nothing_that_was_not():
    usage = {"prompt_tokens": 60, "cost": 0.5, "details": {"tier": "eu"}, "none": None}
    told = Told(usage, "priority", "stop", 10, 20, {"audio_in": 3}, {"web_searches": 2})
    assert receipt(told, REPORTED, "gpt-x", "chatcmpl-1") == {
        **{"endpoint": "chat", "model_served": "gpt-x", "provider_request_id": "chatcmpl-1"},
        **{"service_tier": "priority", "finish": "stop"},
        **{"cache_write": 30, "cache_write_5m": 10, "cache_write_1h": 20},
        **{"modality": {"audio_in": 3}, "extra": {"web_searches": 2}},
        **{"total_mismatch": 99, "raw_usage": usage},
    }
    assert receipt() == {"endpoint": "chat"}


def test_a_total_that_should_not_be_nothing_is_a_mismatch_too():
    assert receipt(Told(), Reported(TokenCount(1), True, 0))["total_mismatch"] == 0


@pytest.mark.parametrize("text", ["two words", "", "a" * 257, "ünicode", 'a"b', "a\\b", "a\nb", 7, None, ["a"], True])
def test_a_name_that_is_no_word_is_left_out(text):
    assert receipt(Told(None, text, text), None, text, text) == {"endpoint": "chat"}


@pytest.mark.parametrize("name", ["stop", "claude-x@20260501", "org/model:7b", "a" * 64])
def test_a_word_is_kept(name):
    assert receipt(Told(None, name, name), None, name, name)["finish"] == name


@pytest.mark.parametrize(
    "usage",
    [
        {"note": "said by the model"},
        {"deep": [{"er": {"note": "said by the model"}}]},
        {"said by the model": 1},
        {"note": "ö"},
        {"note": 'x"y'},
        {"note": "a" * 65},
        {"a": 1, "note": "tab\there"},
    ],
)
def test_a_usage_that_holds_text_is_left_out_whole_and_says_so(usage):
    assert receipt(Told(usage)) == {"endpoint": "chat", "raw_usage_left_out": "text"}


def test_one_that_is_too_large_is_left_out_and_says_so():
    fits = {"n": [1] * ((RAW_USAGE_BYTES_MAX - len('{"n":[]}') + 1) // 2)}
    assert receipt(Told(fits))["raw_usage"] == fits
    assert receipt(Told({"n": [1] * RAW_USAGE_BYTES_MAX})) == {"endpoint": "chat", "raw_usage_left_out": "size"}


@pytest.mark.parametrize("usage", [None, 7, "text of the answer", ["text of the answer"], True])
def test_what_is_no_object_is_no_usage(usage):
    assert receipt(Told(usage)) == {"endpoint": "chat"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
WORDS = st.text(ascii_letters + "_-.:/", min_size=1, max_size=300)


@given(JSON | st.dictionaries(st.text(), JSON), JSON | WORDS, JSON | WORDS, JSON | WORDS)
def test_whatever_is_told_it_is_short_ascii_json_of_words_and_numbers(usage, name, other, third):
    text = receipt_text("chat", Told(usage, name, other), REPORTED, third, name)
    assert text.isascii()
    assert len(text) <= RECEIPT_LENGTH_MAX
    assert all(" " not in each and each.isprintable() for each in texts_of(json.loads(text)))


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for name, each in value.items() for text in [name, *texts_of(each)]]
    if isinstance(value, list):
        return [text for each in value for text in texts_of(each)]
    return [value] if isinstance(value, str) else []


def test_the_longest_fits_the_ledger():
    wheres = ("in", "tool_in", "out", "cached")
    kinds = modality((kind, where, TOKENS_MAX) for kind in KINDS for where in wheres)
    extra = dict.fromkeys([f"{name:_<20}" for name in "abcdefgh"], 0.1234567890123456)
    usage = {"n": "a" * 64, "m": [1] * ((RAW_USAGE_BYTES_MAX - 100) // 2)}
    told = Told(usage, "t" * 64, "f" * 64, TOKENS_MAX, TOKENS_MAX, kinds, extra)
    reported = Reported(TokenCount(0, 0, TOKENS_MAX), True, TOKENS_MAX)
    text = receipt_text("e" * 64, told, reported, "m" * 256, "i" * 256)
    assert RAW_USAGE_BYTES_MAX < len(text) <= RECEIPT_LENGTH_MAX


def test_kinds_are_told_where_something_is_not_text():
    assert modality([("text", "in", 5), ("text", "out", 3)]) == {}
    assert modality([("text", "in", 5), ("audio", "in", 3), ("image", "in", 0), ("image", "out", None)]) == {
        "text_in": 5,
        "audio_in": 3,
    }


@pytest.mark.parametrize("value", [0, -1, None, "5", True, [], 10**13, 10**400, float("inf"), float("nan")])
def test_what_is_no_amount_is_left_out(value):
    assert numbers({"a": "x", "b": "y"}, {"a": value, "b": 0.5}) == {"y": 0.5}
    assert numbers({"a": "x"}, value) == {}
