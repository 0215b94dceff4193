"""Counts the tokens of a request's text exactly, where the model's vocabulary is known; else the estimate stands.

A count must be a bound, so whatever is in doubt is a token a byte, which no text exceeds. It must not take long either:
byte-pair encoding takes more than linear time in a text without a break, so texts are counted in pieces. They are cut
only where every vocabulary that we know begins a new word, so the sum is the count of the whole; a stretch without such
a place, if it is long, is not counted but held by its bytes.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import msgspec

from kvot.gateway.dialect import Size
from kvot.gateway.metering.metered import text_bytes

CountTokens = Callable[[str], int]
"""The port: how many tokens a text has by one vocabulary, with nothing in it read as a control token."""

PIECE_CHARACTERS = 4_096
UNBROKEN_CHARACTERS_MAX = 16_384
"""Longer stretches without a place to cut are no language: to count them would take time, and gain little."""

COUNTED_CHARACTERS_MAX = 8 * 1_048_576
"""No model of a known vocabulary reads more than about a million tokens, some five million letters. What a request has
beyond is not looked at but held by its bytes, so that none takes more than a second or two."""

TURN_CHARACTERS = 16_384
"""After so many, and the piece that they end in, all else gets a turn: 0.5 ms of common text, 2.3 ms of the worst. A
thread would not help, as the tokenizer keeps the interpreter's lock."""

PIECE_COST_CHARACTERS = 64
"""What it takes to call the tokenizer at all, in characters that it would count in the time."""

# After a letter or digit no word of the vocabularies' patterns goes on before a space, nor before a line's end or a
# mark that is no apostrophe: their words are letters, of which an apostrophe may be part, up to three digits, marks
# with line ends behind them, or space, and only the first character of a word may be of another kind. What is a
# letter depends on the version of Unicode: before a space it does not matter, as marks end there too; elsewhere we
# take letters that all versions have.
_CUT = re.compile(r"[^\W_](?= )|[A-Za-z0-9ぁ-ゖァ-ヺ一-龥가-힣](?=[\r\n!-&(-/:-@\[-`{-~、。，！？；：])")

FAMILIES = (
    ("gpt-5", "o200k_base"),
    ("gpt-4.5-", "o200k_base"),
    ("gpt-4.1-", "o200k_base"),
    ("gpt-4o-", "o200k_base"),
    ("chatgpt-4o-", "o200k_base"),
    ("o1-", "o200k_base"),
    ("o3-", "o200k_base"),
    ("o4-mini-", "o200k_base"),
    ("gpt-4-", "cl100k_base"),
    ("gpt-3.5-turbo-", "cl100k_base"),
    ("text-embedding-3-", "cl100k_base"),
    ("text-embedding-ada-002-", "cl100k_base"),
    ("davinci-002-", "cl100k_base"),
    ("babbage-002-", "cl100k_base"),
)
"""How OpenAI's models are called, and their vocabulary, as OpenAI's tokenizer says it (tiktoken 0.14, `model.py`). A
name that ends in a hyphen stands for itself without it, too."""

_DIALECT = "openai"
"""Elsewhere a name says nothing of the vocabulary: a deployment at Azure is called as its owner likes, and so is a
model of a server of one's own."""


def vocabulary_of(dialect: str, model: str) -> str | None:
    """The name of a model's vocabulary; None: not known. A fine-tuned model (`ft:base:owner::id`) has its base's."""
    if dialect != _DIALECT:
        return None
    name = model.removeprefix("ft:").partition(":")[0] + "-"
    return next((vocabulary for family, vocabulary in FAMILIES if name.startswith(family)), None)


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """A text in pieces, and whether each is whole: cut where no word goes on, at both ends. Linear in the text.

    An empty text is one piece: millions of them take time, too.
    """
    if not text:
        yield text, True
    start, is_begun_whole = 0, True
    while start < len(text):
        least = PIECE_CHARACTERS if is_begun_whole else 0
        cut = _CUT.search(text, start + least, start + UNBROKEN_CHARACTERS_MAX)
        end = cut.end() if cut else min(start + UNBROKEN_CHARACTERS_MAX, len(text))
        is_ended_whole = cut is not None or end == len(text)
        yield text[start:end], is_begun_whole and is_ended_whole
        start, is_begun_whole = end, is_ended_whole


def _as_written(text: str) -> str:
    """As JSON writes it: a line's end, or a quote, may be more tokens there."""
    return msgspec.json.encode(text)[1:-1].decode()


class Counting:
    """Counts for calls whose model's vocabulary is among `counts`, by its name."""

    def __init__(self, counts: Mapping[str, CountTokens]) -> None:
        self._counts = counts

    async def text_tokens(self, dialect: str, model: str, size: Size) -> int | None:
        """The most tokens that a request's text can have; None: it is not known. What stands around the text is none of
        it (`Size.frame_bytes`)."""
        count = self._counts.get(vocabulary_of(dialect, model) or "")
        if count is None:
            return None
        tokens, characters, turn_at = size.text_bytes, 0, TURN_CHARACTERS
        for text in chain(size.texts, map(_as_written, size.written)):
            for piece, is_whole in pieces(text):
                if is_whole:
                    tokens -= text_bytes(piece) - count(piece)
                characters += len(piece) + PIECE_COST_CHARACTERS
                if characters > COUNTED_CHARACTERS_MAX:
                    return tokens
                if characters > turn_at:
                    turn_at = characters + TURN_CHARACTERS
                    await asyncio.sleep(0)
        return tokens
