"""The providers of models that the TOML file names, each in a table of its own. Never shows a key."""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from kvot.settings.accepted import BASE_URL, KEY, TEXT, Accepted, NotAccepted


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider of models: its name in our paths, the API that it speaks, its address as its own client would be
    given it, and our key to it. `needs_key`: nothing is sent without a key, ours or the company's own."""

    name: str
    dialect: str
    base_url: str
    api_key: str = field(default="", repr=False)
    needs_key: bool = False


_MEMBERS = {"dialect": TEXT, "base_url": BASE_URL, "api_key": KEY}
_NEEDED = {"dialect": "which API it speaks, such as openai, anthropic or compatible", "base_url": BASE_URL.words}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME_WORDS = "a name of up to 32 lower-case letters, digits, - and _, a letter first"


def _read_providers(value: object) -> tuple[ProviderSettings, ...] | None:
    """A table of tables, so it can only come from TOML. Raises NotAccepted with every fault of every table."""
    if not isinstance(value, dict):
        return None
    faults: list[tuple[str, str]] = []
    providers = [_read_provider(name, table, faults) for name, table in value.items()]
    if faults:
        raise NotAccepted(*faults)
    return tuple(each for each in providers if each is not None)


def _read_provider(name: str, table: object, faults: list[tuple[str, str]]) -> ProviderSettings | None:
    where = f".{name[:40]}"
    if not _NAME.fullmatch(name):
        faults.append((where, f": must have {_NAME_WORDS}."))
    if not isinstance(table, dict):
        faults.append((where, ": must be a table with dialect, base_url and, if it asks for one, api_key."))
        return None
    members: dict[str, Any] = {}
    for key, value in table.items():
        try:
            members[key] = _take_member(key, value)
        except NotAccepted as error:
            faults += [(f"{where}.{key[:40]}", words) for _, words in error.faults]
    faults += [(where, f" lacks {key}: {words}.") for key, words in _NEEDED.items() if key not in table]
    return None if faults else ProviderSettings(name, **members)


def _take_member(key: str, value: object) -> Any:
    if key not in _MEMBERS:
        nearest = get_close_matches(key.lower(), _MEMBERS, n=1, cutoff=0)
        raise NotAccepted(("", f" is not a setting. The nearest is {nearest[0]}."))
    return _MEMBERS[key].take(value, is_shown=key != "api_key")


PROVIDERS = Accepted(
    f"in TOML, a table for each with dialect, base_url and, if it asks for one, api_key ({KEY.words})", _read_providers
)
