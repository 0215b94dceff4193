"""`?jsconfig=`: how one request wants its JSON. A list of `name` or `name:value`; names we do not know are ignored.

A name alone switches on, `:false` and `:0` switch off. What is said later wins. `tsh` and `teai` are known and change
nothing: no type of the contract has a time span or an enumeration.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from kvot.wire.style import JsonCase, JsonDates, Style

ENTRIES_MAX = 32
"""There are some forty names in all. What comes after the bound is ignored."""

_LENGTH_MAX = 512
"""As much as thirty-two entries need. The rest is ignored, so that what is remembered stays small."""

_CASES = {
    "emitcamelcasenames": JsonCase.CAMEL,
    "eccn": JsonCase.CAMEL,
    "emitpascalcasenames": JsonCase.PASCAL,
    "epcn": JsonCase.PASCAL,
    "emitlowercaseunderscorenames": JsonCase.SNAKE,
    "elun": JsonCase.SNAKE,
}
_TEXT_CASES = {
    # "default" is the name as it was declared, and members are declared in PascalCase.
    **dict.fromkeys(("d", "default", "pc", "pascalcase"), JsonCase.PASCAL),
    **dict.fromkeys(("cc", "camelcase"), JsonCase.CAMEL),
    **dict.fromkeys(("sc", "snakecase"), JsonCase.SNAKE),
}
_SWITCHES = {
    **dict.fromkeys(("excludedefaultvalues", "edv"), "exclude_defaults"),
    **dict.fromkeys(("includenullvalues", "inv"), "include_nulls"),
    **dict.fromkeys(("indent", "i", "pp"), "is_indented"),
}
_DATES = {
    **{each.value: each for each in JsonDates},
    # Our moments are all UTC, for which these two write the same.
    **dict.fromkeys(("timestampoffset", "dcjsc", "dcjscompatible"), JsonDates.TIMESTAMP),
    "iso8601dateonly": JsonDates.ISO_DATE,
    "iso8601datetime": JsonDates.ISO_DATE_TIME,
    "unixtime": JsonDates.UNIX_S,
    "unixtimems": JsonDates.UNIX_MS,
}


def style_of(text: str, host: Style) -> Style:
    """The host's style as a request wants it changed."""
    return _style_of(text[:_LENGTH_MAX].lower(), host)


@lru_cache(maxsize=256)
def _style_of(text: str, host: Style) -> Style:
    changes: dict[str, Any] = {}
    for entry in text.split(",")[:ENTRIES_MAX]:
        name, _, value = (part.strip() for part in entry.partition(":"))
        changes |= _changes(name, value)
    return replace(host, **changes)


def _changes(name: str, value: str) -> dict[str, Any]:
    is_on = value not in ("false", "0")
    if name in _SWITCHES:
        return {_SWITCHES[name]: is_on}
    if name in _CASES and is_on:
        return {"json_case": _CASES[name]}
    if name in ("textcase", "tc") and value in _TEXT_CASES:
        return {"json_case": _TEXT_CASES[value]}
    if name in ("datehandler", "dh") and value in _DATES:
        return {"json_dates": _DATES[value]}
    return {}
