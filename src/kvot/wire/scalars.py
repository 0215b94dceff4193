"""Text to the scalars of the contract, in every spelling that clients send. Raises ValueError for anything else.

Whoever calls has bounded the text as a whole; each parser bounds what it works on, so that a long text costs nothing.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache

from kvot.contract.describe import Instant

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1

_NUMBER_LENGTH_MAX = 40
"""A 64-bit number has 19 digits. Leading zeros are allowed, a thousand of them serve nobody."""

_DATE_LENGTH_MAX = 48
"""The longest spelling that we read, `\\/Date(253402300799999+0000)\\/`, has 30 characters."""

_GUID_LENGTHS = (32, 36, 38)
_GUID_BRACKETS = ("{}", "()")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")
_WCF_DATE = re.compile(r"\\?/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)\\?/")
# A blank stands for the `+` of an offset that was not percent-encoded in a query.
_ISO_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,7}))?)?(Z|z|[+ -][0-9]{2}:?[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_TRUE = frozenset({"true", "1", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "f", "n"})


def guid(text: str) -> str:
    """A GUID in form N, D, B or P and any case, as 36 lower-case characters with dashes."""
    text = text.strip()
    if len(text) not in _GUID_LENGTHS:
        raise ValueError(text)
    if len(text) == 38:  # noqa: PLR2004
        if text[0] + text[-1] not in _GUID_BRACKETS:
            raise ValueError(text)
        text = text[1:-1]
    if len(text) == 36:  # noqa: PLR2004
        if not text[8] == text[13] == text[18] == text[23] == "-":
            raise ValueError(text)
        text = text.replace("-", "")
    if len(text) != 32 or not text.isalnum():  # noqa: PLR2004
        raise ValueError(text)
    digits = bytes.fromhex(text).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def integer(text: str, most: int) -> int:
    """A decimal number in `[-most - 1, most]`. Leading zeros are fine; fractions and exponents are not."""
    text = text.strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if len(text) > _NUMBER_LENGTH_MAX or not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    number = int(text)
    if not -most - 1 <= number <= most:
        raise ValueError(text)
    return number


def without_thousands(text: str) -> str:
    """`1,234,567` as `1234567`. Only for places where a comma cannot mean two values."""
    if len(text) <= _NUMBER_LENGTH_MAX and _GROUPED.fullmatch(text.strip()):
        return text.replace(",", "")
    return text


def boolean(text: str) -> bool:
    """A truth value. Of `true,false`, as a checkbox and its hidden twin send it, the first counts."""
    word = text[:16].partition(",")[0].strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(text)


def instant(text: str) -> Instant:
    """A moment: `/Date(ms)/`, `\\/Date(ms+hhmm)\\/` or ISO 8601. No offset means UTC.

    Digits beyond the millisecond are cut: an instant is never later than what was written.
    """
    text = text.strip()
    if len(text) > _DATE_LENGTH_MAX:
        raise ValueError(text)
    if match := _WCF_DATE.fullmatch(text):
        # The number is UTC already; the offset only says where the writer was.
        return Instant(int(match[1]))
    if match := _ISO_DATE.fullmatch(text):
        return Instant(_iso_ms(match))
    raise ValueError(text)


def _iso_ms(match: re.Match[str]) -> int:
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    ms = (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0")[:3].ljust(3, "0"))
    return ms - _offset_ms(offset or "Z")


def _offset_ms(offset: str) -> int:
    if offset in "Zz":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 14 or minutes > 59:  # noqa: PLR2004
        raise ValueError(offset)
    ms = (hours * 60 + minutes) * 60_000
    return -ms if offset[0] == "-" else ms


@lru_cache(maxsize=1024)
def shortest_date(ms: int) -> str:
    """A moment as JSV writes it: `2026-03-04`, `2026-03-04T05:06:07Z` or `2026-03-04T05:06:07.0010000Z`."""
    days, ms_of_day = divmod(ms, 86_400_000)
    day = date.fromordinal(_EPOCH_DAY + days).isoformat()
    if ms_of_day == 0:
        return day
    seconds, fraction = divmod(ms_of_day, 1000)
    clock = f"{day}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{clock}.{fraction:03}0000Z" if fraction else f"{clock}Z"


def utc(ms: int) -> datetime:
    """A moment as a calendar has it, in UTC. `%a` and `%b` of it are English: nobody sets a locale here."""
    return _EPOCH + timedelta(milliseconds=ms)


SCALARS: dict[str, Callable[[str], object]] = {
    "Guid": guid,
    "Int32": lambda text: integer(text, INT_MAX),
    "Int64": lambda text: integer(text, LONG_MAX),
    "Boolean": boolean,
    "DateTime": instant,
    "String": lambda text: text,
}
"""The parser of each CLR type that a member of a request can have."""
