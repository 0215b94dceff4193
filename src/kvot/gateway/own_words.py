"""What a refusal says in its provider's own words, and not in a client's.

A refusal may quote the request, what the provider found at an address that the request names, and what its model made
of it: a client can have it say what it likes, and have its call answered when it is sent once more. So nothing that
would be to its advantage, or be remembered, is done on the word of a refusal alone: it must point at the member, begin
with it, or name it although no client's word can have.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

_SAYING = ("error", "errors", "message", "msg", "detail", "details")
"""Members of a refusal that hold its sentences. Others hold what they are about (`input`, `failed_generation`)."""

_TEXT_CHARACTERS_MAX = 512
"""Of a sentence: what it is about stands at its beginning."""

_TEXTS_MAX = 64
"""Sentences of a refusal that are read. A list of all that is wrong with a request has one for each member."""

_LEAD = (
    r"(?:(?:a|an|at|bad|because|body|deserialize|error|extra|failed|has|in|input|into|invalid|is|it|json|argument|field|"
    r"name|parameter|payload|property|received|request|submit|supplied|target|the|to|type|unable|unexpected|unknown|"
    r"unrecognized|unsupported|validation)s?\b[ :.#/]*+)*+(?:\[\{'type': '\w+', 'loc': \('body', )?[\"'`]?"
)
"""What a sentence has before the member that it is about, with every server that is known (docs/internals/gateway.md).
None of it is said of an address, a file, a role or a text, which a client chooses."""

_IN_ADDRESSES = (b":/", rb":\/", rb":\\")
"""As JSON writes them. Some take one slash, or another, for two."""

_ESCAPE = re.compile(rb"\\u00(?:2f|3a|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9a])")
"""Of a letter, an underscore, or what makes an address: no encoder escapes those, but for who wants them unseen."""

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Said(NamedTuple):
    """`members`: those of the request, the outermost, that a refusal points at. `texts`: how its sentences begin."""

    members: frozenset[str]
    texts: tuple[str, ...]

    def is_about(self, names: Iterable[str]) -> bool:
        """Whether it points at one of these members, or a sentence begins with one."""
        return any(name in self.members or any(map(_begins_with(name).match, self.texts)) for name in names)

    def mentions(self, names: Iterable[str]) -> bool:
        """Whether one of them stands anywhere, as a word of its own."""
        return any(any(map(_word(name).search, self.texts)) for name in names)


def said_by(refusal: bytes) -> Said:
    try:
        document = msgspec.json.decode(refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Said(frozenset(), (refusal[:_TEXT_CHARACTERS_MAX].decode(errors="replace"),))
    members: set[str] = set()
    texts: list[str] = []
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, str):
            texts.append(each[:_TEXT_CHARACTERS_MAX])
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += [each[name] for name in _SAYING if name in each]
            members.update(_pointed_at(each))
    return Said(frozenset(members), tuple(texts[:_TEXTS_MAX]))


def _pointed_at(error: dict[str, Any]) -> Iterator[str]:
    """By OpenAI's `param` (`stream_options.include_usage`), or pydantic's `loc` (`["body", "stream_options"]`)."""
    param, place = error.get("param"), error.get("loc")
    path = re.split(r"[.\[]", param) if isinstance(param, str) else place if isinstance(place, list) else []
    yield from [each for each in path if isinstance(each, str) and each != "body"][:1]


def can_be_quoted(request: bytes, names: Iterable[str]) -> bool:
    """Whether a refusal may have one of these words from a request: it stands in there, or may in escapes, or there is
    an address that its provider may look up. An outermost member of that name is what a refusal is about, and no quote.

    It reads bytes, so as to take no time, and errs by saying yes.
    """
    words = request.lower()
    if any(mark in words for mark in _IN_ADDRESSES) or _ESCAPE.search(words):
        return True
    members = _decode_members(request)
    return any(words.count(name.lower().encode()) > (name in members) for name in names)


@lru_cache(maxsize=32)
def _begins_with(name: str) -> re.Pattern[str]:
    return re.compile(rf"{_LEAD}{name}(?!\.?\w|[/%-])", re.IGNORECASE)


@lru_cache(maxsize=32)
def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.%-]){name}(?!\.?\w|[/%-])")
