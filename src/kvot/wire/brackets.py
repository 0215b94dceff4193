"""What the lenient readers of JSON and of JSV have in common: objects in braces, lists in brackets, a level at a time.

How a string is quoted, what ends a bare word and what it means, and what an error says is the dialect's own.
"""

import re
from typing import Any

from kvot.wire.document import DEPTH_MAX, TooDeep, TooMany, Twice

_BLANKS = re.compile(r"[ \t\r\n]*")


class BracketReader:
    """Reads one document, left to right. Every character is looked at a bounded number of times.

    A dialect says how bare text reads: `key` that of a name, `object_word` and `list_word` that of a value in an object
    or list.
    """

    key: re.Pattern[str]
    object_word: re.Pattern[str]
    list_word: re.Pattern[str]

    def __init__(self, text: str, members_max: int) -> None:
        self._text = text
        self._at = 0
        self._members_max = self._members_left = members_max

    def _quoted(self) -> str:
        """The text of a string, from its opening quote on. Raises Malformed."""
        raise NotImplementedError

    def _bare(self, text: str) -> Any:
        """What a bare word stands for."""
        raise NotImplementedError

    def _expect(self, character: str, closing: str) -> None:
        """Go past `character`, or raise Malformed; `closing` is the bracket that ends the level."""
        raise NotImplementedError

    def _next(self) -> str:
        """The next character that is not blank, or "" at the end."""
        match = _BLANKS.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _value(self, word: re.Pattern[str], depth: int) -> Any:
        if depth > DEPTH_MAX:
            raise TooDeep
        first = self._next()
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._list(depth)
        if first == '"':
            return self._quoted()
        return self._bare(self._take(word))

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._at += 1
        while (first := self._next()) != "}":
            key = self._quoted() if first == '"' else self._take(self.key).strip()
            self._expect(":", "}")
            self._members_left -= 1
            if self._members_left < 0:
                raise TooMany(self._members_max)
            if key in members:
                raise Twice(key)
            members[key] = self._value(self.object_word, depth + 1)
            if self._next() == "}":
                break
            self._expect(",", "}")
        self._at += 1
        return members

    def _list(self, depth: int) -> list[Any]:
        items: list[Any] = []
        self._at += 1
        while self._next() != "]":
            self._members_left -= 1
            if self._members_left < 0:
                raise TooMany(self._members_max)
            items.append(self._value(self.list_word, depth + 1))
            if self._next() == "]":
                break
            self._expect(",", "]")
        self._at += 1
        return items
