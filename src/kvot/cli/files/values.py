"""Values in files as the ledger wants them: numbers, instants, GUIDs, texts; one by one, and whole columns at once.

A column is taken whole where its values are all of the plain form, which C loops can tell; otherwise value by value.
Both ways give the same. What cannot be understood raises `Unfit`, never a guess.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kvot.wire.scalars import guid

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}")
_EPOCH = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,30}))?")
_CLR_DATE = re.compile(r"\\?/Date\((-?[0-9]{1,15})(?:[+-][0-9]{4})?\)\\?/")
_EPOCH_MS_MIN = 100_000_000_000
"""As seconds this lies in the year 5138, as milliseconds in 1973: numbers from here on are milliseconds."""
_EPOCH_END = 10**15
"""What has more digits is no instant in either."""

_START, _START_UTC = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)  # what names no zone is UTC
_MS = timedelta(milliseconds=1)


class Unfit(ValueError):
    """A value that is not what its field takes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# -- one by one --------------------------------------------------------------------------------------------------------


def to_number(name: str, value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _NUMBER.fullmatch(text):
            return int(text)
    raise Unfit("InvalidNumber", f"'{name}' is {_shown(value)}, not a whole number.")


def to_instant_ms(name: str, value: Any) -> int | None:
    """Milliseconds since the epoch; finer digits are cut. A time that names no zone is UTC."""
    if value is None:
        return None
    if type(value) in (int, float):
        value = repr(value)
    if isinstance(value, str):
        text = value.strip()
        if match := _EPOCH.fullmatch(text):
            return _epoch_ms(int(match[1]), match[2] or "")
        if match := _CLR_DATE.fullmatch(text):
            return int(match[1])
        try:
            return _since_start_ms(datetime.fromisoformat(text))
        except ValueError:
            pass
    raise Unfit("InvalidDate", f"'{name}' is {_shown(value)}, not a time: write 2026-11-22T08:30Z, or epoch s or ms.")


def to_text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if type(value) is int:
        return str(value)
    raise Unfit("InvalidText", f"'{name}' is {_shown(value)}, not a text.")


def to_guid(name: str, value: Any) -> str | None:
    """In canonical form: 36 lower-case characters."""
    if value is None or value == "":
        return None
    try:
        return guid(value)
    except (ValueError, AttributeError):
        raise Unfit("InvalidGuid", f"'{name}' is {_shown(value)}, not a GUID.") from None


def _epoch_ms(whole: int, fraction: str) -> int:
    return whole if whole >= _EPOCH_MS_MIN else whole * 1_000 + int((fraction + "000")[:3])


def _since_start_ms(moment: datetime) -> int:
    return (moment - (_START if moment.tzinfo is None else _START_UTC)) // _MS


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 (a message, not a copy of the file)


# -- whole columns -----------------------------------------------------------------------------------------------------


def numbers(name: str, column: Sequence[Any]) -> Sequence[int | None]:
    kinds = set(map(type, column))
    if kinds == {int}:
        return column
    if kinds == {str} and _are_digits(column, 30):
        return list(map(int, column))
    return [to_number(name, value) for value in column]


def instants_ms(name: str, column: Sequence[Any]) -> Sequence[int | None]:
    kinds = set(map(type, column))
    if kinds == {int} or (kinds == {str} and _are_digits(column, 15)):
        epochs = list(map(int, column))
        if min(epochs) >= _EPOCH_MS_MIN and max(epochs) < _EPOCH_END:
            return epochs
    elif kinds == {str} and {value[4:5] for value in column} == {"-"}:
        try:
            moments = list(map(datetime.fromisoformat, column))
            start = _START if moments[0].tzinfo is None else _START_UTC
            return [(moment - start) // _MS for moment in moments]
        except (ValueError, TypeError):  # a form of another kind among them, or zones beside none
            pass
    return [to_instant_ms(name, value) for value in column]


def texts(name: str, column: Sequence[Any]) -> Sequence[str | None]:
    kinds = set(map(type, column))
    if kinds <= {str, type(None)} and "" not in column:
        return column
    return [to_text(name, value) for value in column]


def guids(name: str, column: Sequence[Any]) -> Sequence[str | None]:
    if not set(map(type, column)) <= {str, type(None)}:
        return [to_guid(name, value) for value in column]
    known = {value: to_guid(name, value) for value in set(column)}
    return [known[value] for value in column]


def _are_digits(column: Sequence[str], length_max: int) -> bool:
    """Whether every text is one to so many of the digits 0 to 9."""
    digits = "".join(column)
    if not (digits.isdigit() and digits.isascii()):
        return False
    return "" not in column and max(map(len, column)) <= length_max


One = Callable[[str, Any], Any]
Whole = Callable[[str, Sequence[Any]], Sequence[Any]]

CONVERSIONS: dict[str, tuple[Whole, One]] = {
    "id": (texts, to_text),
    "at": (instants_ms, to_instant_ms),
    "tokens": (numbers, to_number),
    "company": (guids, to_guid),
    "input": (numbers, to_number),
    "output": (numbers, to_number),
    "cached": (numbers, to_number),
    "reasoning": (numbers, to_number),
    "model": (texts, to_text),
    "provider": (texts, to_text),
    "user": (texts, to_text),
    "feature": (texts, to_text),
}
"""How each field's column is converted whole, and how its single values are."""
