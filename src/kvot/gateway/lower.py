"""Models that refuse the ceiling which we name where a request has none, as more than they may answer with.

Their refusal says how much that is: the call is sent again with it as its ceiling. It is never sent without any, since
what a refusal says may be a client's doing, and an answer without a ceiling could be longer than what is held for it.
Nor is it remembered where it may be (own_words.py): the answers of others would be as short as that client likes.

A model has a most that it may answer with, which is the highest number below ours that a refusal has; or it refuses by
the window that an answer shares with its request, and then by known phrases alone: those have more numbers (the input
in parts, the sum), of which any may be the next below ours.
"""

import re
from typing import NamedTuple

from kvot.gateway.own_words import can_be_quoted, said_by

_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "maxOutputTokens")


def _phrases(*phrases: str) -> re.Pattern[str]:
    """Any of them, where N is a number of tokens."""
    return re.compile("|".join(re.escape(each).replace("N", r"(?<!\d)(\d{1,9})(?!\d)") for each in phrases))


_WINDOW = _phrases(
    "context length is N",  # OpenAI, vLLM, DeepSeek, OpenRouter
    "context length of N",  # SGLang
    "max_model_len=N",  # vLLM
    "max_model_len=max_total_tokens=N",
    "`inputs` tokens + `max_new_tokens` must be <= N",  # text-generation-inference
)
_INPUT = _phrases(
    "N in the messages",  # OpenAI, older vLLM, DeepSeek
    "N in the functions",
    "N in your prompt",
    "resulted in N tokens",
    "N input tokens",  # vLLM
    "N `inputs`",  # text-generation-inference
    "N of text input",  # OpenRouter
    "N of tool input",
    "N of image input",
    "N tokens from the input",  # SGLang
)
"""The parts of a request: they add up."""

_UNCOUNTED = _phrases("at least N input tokens", "upper bound for N input tokens")
"""vLLM stops counting an input where it exceeds what our ceiling leaves of the window: it may have any length."""

_OF_WINDOW = ("context", "inputs", "input tokens")
"""Words of a refusal that is of its call alone, whatever its phrase."""

_EXCLUSIVE = "exclusive"
_WHOLE = re.compile(r"(?<![\w.-])\d{1,9}(?![\w-])")
"""None that is a part of a name, such as gpt-4o-2024-08-06."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_STATUS = re.compile(r"code\W{1,4}\d{3}\b")
"""In the refusals that routers quote: `Error code: 400 - {… "code": 400}`."""


class Lower(NamedTuple):
    """A ceiling to try. `is_of_model`: others of its calls may go with it at once."""

    output_max: int
    is_of_model: bool


def lower_ceiling(refusal: bytes, named: int, least: int, request: bytes) -> Lower | None:
    """What a provider that refused the ceiling `named` may take, and is no less than `least`; None: it does not say.

    request: the client's own, which names no ceiling. A refusal of ours begins with its name, or quotes it.
    """
    said = said_by(refusal)
    text = _STATUS.sub("", _THOUSANDS.sub("", "\n".join(said.texts)))
    numbers = set(map(int, _WHOLE.findall(text)))
    is_about = said.is_about(_NAMES)
    if not (is_about or named in numbers):
        return None
    window = _WINDOW.search(text)
    if window is not None:
        most = _room(_count(window), text, named)
    elif is_about or any(name in text for name in _NAMES):
        most = _most_of_model(numbers, text, named)
    else:
        return None
    is_of_model = window is None and not any(word in text for word in _OF_WINDOW)
    is_known = is_about or not can_be_quoted(request, _NAMES)
    return Lower(most, is_of_model and is_known) if least <= most < named else None


def _room(window: int, text: str, named: int) -> int:
    """What the request leaves of the window; half of it, where it is not told how long that is. One less than all, as
    SGLang refuses what fills it."""
    inputs = {match[0]: _count(match) for match in _INPUT.finditer(text)}  # a refusal may be told twice
    if not inputs or _UNCOUNTED.search(text):
        return min(window, named) // 2
    return window - sum(inputs.values()) - 1


def _most_of_model(numbers: set[int], text: str, named: int) -> int:
    """0: it is not told."""
    if _INPUT.search(text):
        return 0  # by a window, in words that are not known
    most = max((number for number in numbers if number < named), default=0)
    return most - 1 if _EXCLUSIVE in text else most


def _count(match: re.Match[str]) -> int:
    assert match.lastindex is not None
    return int(match[match.lastindex])
