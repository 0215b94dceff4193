"""How much a request gives the model to read, gathered by its dialect: texts, schemas, and media by their constants.

Whatever the model may read must be gathered, and what is gathered twice does no harm: a hold must be large enough.
"""

from kvot.gateway.dialect import Size
from kvot.gateway.metering.metered import text_bytes


class Gathered:
    """What was found so far. The texts stay the request's own: nothing is copied."""

    __slots__ = ("_encoded_bytes", "_texts", "media_tokens", "spare_tokens", "stored_tokens")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._encoded_bytes = 0
        self.media_tokens = 0
        self.spare_tokens = 0
        self.stored_tokens = 0

    def text(self, value: object) -> None:
        """All text in a value read from JSON, at any depth; the names of members are not for the model."""
        if isinstance(value, str):
            self._texts.append(value)
            return
        left = [value]
        while left:
            each = left.pop()
            if isinstance(each, str):
                self._texts.append(each)
            elif isinstance(each, dict):
                left.extend(each.values())
            elif isinstance(each, list):
                left.extend(each)

    def schema(self, value: object) -> None:
        """A tool, a schema or arguments: there the model reads the names of members, numbers and truth values too."""
        left = [value]
        while left:
            each = left.pop()
            if isinstance(each, str):
                self._texts.append(each)
            elif isinstance(each, dict):
                self._texts.extend(each)
                left.extend(each.values())
            elif isinstance(each, list):
                left.extend(each)
            elif each is not None:
                self._texts.append(str(each))

    def encoded_text(self, data: str) -> None:
        """A file of text, in base64: as many bytes as it stands for."""
        self._encoded_bytes += base64_bytes(data)

    @property
    def size(self) -> Size:
        texts = self._texts
        is_ascii = all(map(str.isascii, texts))  # as most are: then no text is looked at twice
        total = sum(map(len if is_ascii else text_bytes, texts))
        return Size(total + self._encoded_bytes, self.media_tokens, texts, self.stored_tokens, self.spare_tokens)


def base64_bytes(data: str) -> int:
    """What base64 stands for: three bytes for four characters."""
    return len(data) * 3 // 4
