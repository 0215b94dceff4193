"""How a host, or one request, wants its replies written."""

from dataclasses import dataclass
from enum import StrEnum


class JsonCase(StrEnum):
    """The case of names in JSON. Every other format writes PascalCase always."""

    CAMEL = "camel"
    PASCAL = "pascal"


@dataclass(frozen=True, slots=True)
class Style:
    json_case: JsonCase = JsonCase.CAMEL
