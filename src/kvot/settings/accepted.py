"""What a setting takes: how it is read from text or TOML, and the words that say so when it is not that."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kvot.settings.urls import masked, postgres_fault, url_fault

SECRET_BYTES_LEAST = 32
"""256 bits: a shorter secret could be found by trying, given one key or token made with it."""

_TEXT_LENGTH_MAX = 2_048
_INTEGER_MAX = 2**63
"""TOML has no larger ones, though its reader takes them, and Python does not write out those of thousands of digits."""


class SettingsError(Exception):
    """The settings cannot be used. `faults` has one sentence for each thing that is wrong."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotAccepted(Exception):
    """A value that is not taken. `faults`: where in it, empty for the whole and `.mistral.base_url` for a part, and how
    the sentence goes on that begins with its name. No secret is in them."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__(*(words for _, words in faults))
        self.faults = faults


class Unfit(ValueError):
    """Raised by what reads a value that must be something else: more closely what than the words of the setting."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a setting takes, in words, and how it is read; `read` answers None for anything else, or raises Unfit."""

    words: str
    read: Callable[[object], Any]

    def take(self, value: object, *, is_shown: bool) -> Any:
        """The value as it is used. Raises NotAccepted. An empty one is mostly one that somebody meant to leave out."""
        words = self.words
        if isinstance(value, int) and not -_INTEGER_MAX <= value <= _INTEGER_MAX:
            raise NotAccepted(("", f": must be {words}."))
        try:
            read = self.read(value)
        except Unfit as unfit:
            read, words = None, str(unfit)
        if read is not None:
            return read
        if value == "":
            raise NotAccepted(("", f" is empty: remove it, or give it a value ({words})."))
        is_shown = is_shown and not isinstance(value, dict | list)  # which may hold anything
        shown = f" is {masked(str(value))[:80]!r}:" if is_shown else ":"
        raise NotAccepted(("", f"{shown} must be {words}."))


def whole_number(least: int, most: int) -> Accepted:
    def read(value: object) -> int | None:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        return value if type(value) is int and least <= value <= most else None

    return Accepted(f"a whole number from {least} to {most}", read)


def one_of(*choices: str) -> Accepted:
    """One of some words. TOML may have a number among them without quotes."""
    words = ", ".join(choices[:-1]) + " or " + choices[-1]
    return Accepted(words, lambda value: str(value) if isinstance(value, str | int) and str(value) in choices else None)


def _read_text(value: object) -> str | None:
    is_text = isinstance(value, str | Path) and 1 <= len(str(value)) <= _TEXT_LENGTH_MAX and str(value).isprintable()
    return str(value) if is_text else None


def is_key_text(text: str) -> bool:
    """Whether text can be a key that goes out in a header: nothing that HTTP forbids there, or that would end it."""
    return text.isascii() and text.isprintable() and " " not in text


def _read_key(value: object) -> str | None:
    text = _read_text(value)
    if text is None or not is_key_text(text):
        return None
    if text[0] == text[-1] and text[0] in "\"'":  # left there by what reads a file of variables, as Docker does
        raise Unfit("the key without the quotes around it")
    return text


def _read_path(value: object) -> Path | None:
    return Path(text) if (text := _read_text(value)) else None


def _read_secret_text(value: object) -> str | None:
    text = _read_text(value)
    return text if text and len(text.encode()) >= SECRET_BYTES_LEAST else None


def _read_database(value: object) -> str | None:
    text = _read_text(value) or ""
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        if "?" in rest:
            raise Unfit("sqlite:///path without a ?: a path takes no options")
        return text if rest[:1] == "/" and rest[1:] not in ("", "/", ":memory:") else None
    if scheme != "postgresql" or not rest:
        return None
    return _fit(text, postgres_fault(text))


def _read_jwks_url(value: object) -> str | None:
    text = _read_text(value) or ""
    return text if text.startswith("file:///") else _fit(text, url_fault(text, {"https"}, _JWKS_WORDS, None))


def _read_server_url(value: object) -> str | None:
    text = (_read_text(value) or "").rstrip("/")
    return _fit(text, url_fault(text, {"http", "https"}, _SERVER_WORDS))


def _read_base_url(value: object) -> str | None:
    text = (_read_text(value) or "").rstrip("/")
    return _fit(text, url_fault(text, {"http", "https"}, _SERVER_WORDS, _NO_QUERY_BASE))


def _read_origins(value: object) -> str | None:
    origins = [each.strip() for each in (_read_text(value) or "").split(",")]
    for each in origins:
        _fit(each, url_fault(each, {"http", "https"}, _ORIGINS_WORDS))
    return ",".join(map(_as_sent, origins)) if all(_is_bare(each) for each in origins) else None


def _is_bare(text: str) -> bool:
    """Scheme, host and perhaps a port, and nothing after."""
    return text.isascii() and text.count("/") == 2  # noqa: PLR2004


def _as_sent(origin: str) -> str:
    """As browsers send it, which is compared letter by letter: in lower case, with a port where it is not the usual
    one."""
    url = urlsplit(origin.lower())
    is_usual = url.port in (None, {"http": 80, "https": 443}[url.scheme])
    host = url.netloc.removesuffix(":") if url.port is None else url.netloc.rpartition(":")[0]
    return f"{url.scheme}://{host}" if is_usual else f"{url.scheme}://{host}:{url.port}"


def _fit(text: str, fault: str | None) -> str:
    if fault is not None:
        raise Unfit(fault)
    return text


def _read_networks(value: object) -> tuple[str, ...] | None:
    """As CIDR ranges: an address is a range of its own, and `*` all that there are. IPv4 in IPv6's clothes is refused:
    whoever connects so is known by the address itself, which no such range would have."""
    text = _read_text(value) or ""
    if text == "*":
        return ("0.0.0.0/0", "::/0")
    try:
        networks = [ip_network(each.strip()) for each in text.split(",")]
    except ValueError:
        return None
    if any(isinstance(each, IPv6Network) and each.network_address.ipv4_mapped is not None for each in networks):
        return None
    return tuple(map(str, networks))


def _read_log_level(value: object) -> str | None:
    return _LOG_LEVELS.get(value.lower()) if isinstance(value, str) else None


def _read_own_key_providers(value: object) -> tuple[str, ...] | None:
    names = tuple(each.strip() for each in (_read_text(value) or "").split(","))
    return names if set(names) <= {"openai", "anthropic", "gemini"} else None


_LOG_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
}
"""By the names that other programs have for them."""

_JWKS_WORDS = "an https:// address without user name or password, or file:///absolute/path"
_ORIGINS_WORDS = "origins like https://app.example.com, with commas between them"
_SERVER_WORDS = "an http:// or https:// address without user name, password or query"
_NO_QUERY_BASE = (
    "an address without a ? and what follows it: each client names Azure's api-version itself (api_version)"
)

TEXT = Accepted("text without a line break", _read_text)
KEY = Accepted("ASCII text without a space or a line break", _read_key)
PATH = Accepted("the path of a file", _read_path)
SECRET = Accepted(f"at least {SECRET_BYTES_LEAST} bytes of text without a line break", _read_secret_text)
DATABASE = Accepted("sqlite:///relative/path, sqlite:////absolute/path or postgresql://…", _read_database)
JWKS = Accepted(_JWKS_WORDS, _read_jwks_url)
ORIGINS = Accepted(_ORIGINS_WORDS, _read_origins)
SERVER = Accepted(_SERVER_WORDS, _read_server_url)
BASE_URL = Accepted(_SERVER_WORDS, _read_base_url)
NETWORKS = Accepted("addresses or CIDR ranges, with commas between them, or *", _read_networks)
LOG_LEVEL = Accepted("debug, info, warning or error", _read_log_level)
OWN_KEYS = Accepted("openai, anthropic or gemini, with commas between them", _read_own_key_providers)
