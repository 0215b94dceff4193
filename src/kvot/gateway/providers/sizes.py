"""How much a request gives the model to read, gathered by its dialect: texts, structure, and media by their constants.

Whatever the model may read must be gathered, and what is gathered twice does no harm: a hold must be large enough.

Structure counts as a server may write it into the prompt: as JSON. Of each value and each member's name its own
characters count, and FRAME_BYTES more. That is no less than the bytes of JSON with Python's separators (`", "` behind
a value, `": "` behind a name, quotes or brackets around them), so no vocabulary has more tokens for it. Written over
lines, as some templates do, it has more bytes, but no more tokens, down to 24 levels: docs/internals/gateway.md.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from kvot.gateway.dialect import Size
from kvot.gateway.metering.metered import text_bytes
from kvot.gateway.providers.members import Written

FRAME_BYTES = 4
"""For what stands around each value and name. It is also what an API puts around a text that is not written as JSON.
OpenAI's own recipe ("How to count tokens with tiktoken", in its cookbook) has 3 for a message, 1 for a name, 3 for a
property, 3 for a choice of an enum, and up to 10 for a function; each of these holds at least one text, and a function
three. The fourth is for a first word that is one token more where it follows a space."""

UNWRITTEN = frozenset({"role", "content", "type", "text"})
"""Members of messages and their parts whose names no template writes out. What it writes in their place, a role's
header, is no more than what their values count beside their own bytes."""

EXPONENT_CHARACTERS = 26
"""A number that Python writes with an exponent has at most so many without one, as Go and JavaScript write some:
a sign, `0.00000` and 17 digits, or 21 digits."""

IMAGE_MARK = "[img-"
"""Where it stands in a request's texts, Ollama puts an image again: `[img-0]`, as often as it stands there."""

_SMALL_BITS = 64

_GO_ESCAPES = "<>&\u2028\u2029"
_ESCAPE_BYTES = 5
"""More than the character itself: six bytes for one, and for the last two, which have three."""


class Gathered:
    """What was found so far. The texts stay the request's own: nothing is copied.

    is_rendered: a template of the provider's may write the text of messages as JSON, too: then what JSON escapes counts
    as it is written there.
    escapes_html: what is written as JSON is written as Go does it.
    """

    __slots__ = (
        "_aside", "_escapes_html", "_frame_bytes", "_is_rendered", "_text_bytes", "_texts", "_written",
        "media_tokens", "spare_tokens", "stored_tokens",
    )  # fmt: skip

    def __init__(self, *, is_rendered: bool = False, escapes_html: bool = False) -> None:
        self._written: list[str] = []  # as JSON
        self._texts: list[str] = self._written if is_rendered else []  # as they are
        self._is_rendered = is_rendered
        self._escapes_html = escapes_html
        self._aside: list[object] = []
        self._text_bytes = 0  # beside those texts
        self._frame_bytes = 0
        self.media_tokens = 0
        self.spare_tokens = 0
        self.stored_tokens = 0

    def text(self, value: object) -> None:
        """What the model reads as it stands there; where it is no text, a value as any other."""
        if isinstance(value, str):
            self._texts.append(value)
        else:
            self.schema(value)

    def schema(self, value: Any) -> None:
        """A value that is read with its structure, as a tool, a schema or arguments are."""
        written, left, framed = self._written, [value], 0
        while left:
            each = left.pop()
            kind = type(each)
            if kind is str:
                written.append(each)
                continue
            framed += 1
            if kind is dict:
                written.extend(each)
                left.extend(each.values())
            elif kind is list:
                left.extend(each)
            else:
                self._text_bytes += _characters(each)
        self._frame_bytes += FRAME_BYTES * framed

    def members(self, value: Mapping[str, Any], apart: Collection[str] = ()) -> None:
        """Of a message, or a part of one: its text as it is, all else with its structure, but for what counts apart."""
        self.frame()
        for name, each in value.items():
            if name not in apart:
                self.name(name)
                if name in UNWRITTEN:
                    self.text(each)
                else:
                    self.schema(each)

    def name(self, name: str) -> None:
        """Of a member of a message or of its parts."""
        if name not in UNWRITTEN:
            self._frame_bytes += len(_encode(name)) - _QUOTES + FRAME_BYTES

    def frame(self) -> None:
        """Around a list or an object whose items are gathered by themselves."""
        self._frame_bytes += FRAME_BYTES

    def others(self, members: Mapping[str, Any], apart: Collection[str]) -> None:
        """Members that have no rule of their own: most are settings, but some a server may know as text to be read."""
        unknown = {name: value for name, value in members.items() if name not in apart}
        if unknown:
            self._aside.append(unknown)

    def arguments(self, text: str) -> None:
        """Of a tool: JSON as text, which a template may read and write anew, with spaces."""
        self._texts.append(text)
        if self._is_rendered:
            self._frame_bytes += text.count(",") + text.count(":")

    def encoded_text(self, data: str) -> None:
        """A file of text, in base64: as many bytes as it stands for."""
        self._text_bytes += base64_bytes(data)

    def count(self, mark: str) -> int:
        """How often it stands in what was gathered as text."""
        places = (self._texts,) if self._texts is self._written else (self._texts, self._written)
        return sum(text.count(mark) for texts in places for text in texts)

    @property
    def size(self) -> Size:
        texts = () if self._is_rendered else self._texts
        frame_bytes = self._frame_bytes + FRAME_BYTES * (len(texts) + len(self._written))
        if self._escapes_html:
            frame_bytes += _ESCAPE_BYTES * _go_escapes(self._written)
        if self._aside:
            frame_bytes += self._aside_bytes()
        return Size(
            _plain_bytes(texts) + _written_bytes(self._written) + self._text_bytes,
            self.media_tokens,
            texts,
            self.stored_tokens,
            self.spare_tokens,
            self._written,
            frame_bytes,
        )

    def _aside_bytes(self) -> int:
        aside = Gathered(escapes_html=self._escapes_html)
        for each in self._aside:
            aside.schema(each)
        size = aside.size
        return size.text_bytes + size.frame_bytes


def _characters(value: object) -> int:
    """Of a number, a truth value or null, however it may be written."""
    if type(value) is int and value.bit_length() > _SMALL_BITS:
        return value.bit_length() * 1_234 // 4_096 + 2  # Python takes long to write one of thousands of digits
    if isinstance(value, float):
        return _float_characters(value)
    return len(str(value))


def _float_characters(value: float) -> int:
    written = repr(float(value))
    known = EXPONENT_CHARACTERS if "e" in written else len(written)
    return max(known, value.characters) if isinstance(value, Written) else known


def _plain_bytes(texts: Sequence[str]) -> int:
    is_ascii = all(map(str.isascii, texts))  # as most are: then no text is looked at twice
    return sum(map(len if is_ascii else text_bytes, texts))


def _go_escapes(texts: list[str]) -> int:
    many = ("".join(texts[at : at + _TEXTS]) for at in range(0, len(texts), _TEXTS))
    return sum(text.count(each) for text in many for each in _GO_ESCAPES)


_TEXTS = 1_000
"""At once: one look at many short ones takes less than a look at each."""


def _written_bytes(texts: list[str]) -> int:
    """As JSON writes them, without their quotes. Long ones in pieces, as they may be 20 MB, and much more in memory."""
    if max(map(len, texts), default=0) > _PIECE_CHARACTERS:
        pieces = (text[at : at + _PIECE_CHARACTERS] for text in texts for at in range(0, len(text), _PIECE_CHARACTERS))
        return sum(len(_encode(piece)) - _QUOTES for piece in pieces)
    return sum(map(len, map(_encode, texts))) - _QUOTES * len(texts)


_PIECE_CHARACTERS = 65_536
_QUOTES = 2
_encode = msgspec.json.encode


def base64_bytes(data: str) -> int:
    """What base64 stands for: three bytes for four characters."""
    return len(data) * 3 // 4


ENCRYPTED_BYTES_PER_TOKEN = 4
"""Of base64 that only its provider can read: text, which the model reads again, and what the cipher adds."""


def encrypted_tokens(data: str) -> int:
    return base64_bytes(data) // ENCRYPTED_BYTES_PER_TOKEN
