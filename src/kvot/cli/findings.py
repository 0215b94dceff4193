"""What `kvot doctor` finds: answers to its questions, each with a grade and what to do next."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Grade(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question. `advice`: what to do next, where something is to be done."""

    name: str
    grade: Grade
    detail: str
    advice: str = ""

    def as_document(self) -> dict[str, Any]:
        return {"name": self.name, "grade": self.grade.value, "detail": self.detail, "advice": self.advice or None}
