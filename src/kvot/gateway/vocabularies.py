"""OpenAI's vocabularies, by splintr: the only module that knows it. It is an extra (`.[tokenizer]`).

The vocabularies come with the package: nothing is fetched, here or later.
"""

from typing import TYPE_CHECKING

from kvot.gateway.counting import CountTokens

if TYPE_CHECKING:
    from splintr import AnyTokenizer

NAMES = ("o200k_base", "cl100k_base")

REMEMBERED_CHARACTERS_MAX = 4 * 1_048_576
"""splintr remembers words that it has seen, by their number alone. It is made to forget after so many characters, so
that long words cannot fill the memory (8 MB of them took 26), and no client's words stay for long."""


class VocabulariesMissing(Exception):
    """The extra is not installed."""


def open_vocabularies() -> dict[str, CountTokens]:
    """By name. Takes half a second and 50 MB. Raises VocabulariesMissing."""
    try:
        from splintr import Tokenizer
    except ImportError as error:
        raise VocabulariesMissing(str(error)) from error
    return {name: Vocabulary(Tokenizer.from_pretrained(name)) for name in NAMES}


class Vocabulary:
    """Counts by one vocabulary. Nothing in a text is a control token: what looks like one is text, which has more."""

    def __init__(self, tokenizer: "AnyTokenizer") -> None:
        self._tokenizer = tokenizer
        self._left_characters = REMEMBERED_CHARACTERS_MAX

    def __call__(self, text: str) -> int:
        self._left_characters -= len(text)
        if self._left_characters < 0:
            self._left_characters = REMEMBERED_CHARACTERS_MAX
            self._tokenizer.clear_cache()
        return len(self._tokenizer.encode_ordinary(text))
