"""How a host, or one request, wants its replies written."""

from dataclasses import dataclass, field
from enum import StrEnum

from kvot.contract import HOST


class JsonCase(StrEnum):
    """The case of names in JSON. JSV, XML and CSV write PascalCase always."""

    CAMEL = "camel"
    PASCAL = "pascal"
    SNAKE = "snake"


class JsonDates(StrEnum):
    """How JSON writes a moment: after the names that `?jsconfig=dh:` has for them."""

    TIMESTAMP = "to"
    ISO = "iso8601"
    ISO_DATE = "iso8601do"
    ISO_DATE_TIME = "iso8601dt"
    RFC_1123 = "rfc1123"
    UNIX_S = "ut"
    UNIX_MS = "utm"


@dataclass(frozen=True, slots=True)
class Style:
    """All but the namespace is about JSON and what is made of JSON: JSON Lines, JSONP."""

    json_case: JsonCase = JsonCase.CAMEL
    exclude_defaults: bool = False
    include_nulls: bool = False
    is_indented: bool = False
    json_dates: JsonDates = JsonDates.TIMESTAMP
    dto_namespace: str = HOST.dto_namespace
    is_plain_json: bool = field(init=False)
    """JSON as the contract's types write themselves. Known beforehand, since every reply asks."""

    is_renamed_json: bool = field(init=False)
    """The same but for the names."""

    def __post_init__(self) -> None:
        has_other_values = self.exclude_defaults or self.include_nulls or self.json_dates is not JsonDates.TIMESTAMP
        is_common = not (has_other_values or self.is_indented)
        object.__setattr__(self, "is_plain_json", is_common and self.json_case is JsonCase.CAMEL)
        object.__setattr__(self, "is_renamed_json", is_common and self.json_case is not JsonCase.CAMEL)
