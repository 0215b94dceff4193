"""What a setting takes: how it is read from text or TOML, and the words that say so when it is not that."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECRET_BYTES_LEAST = 32
"""256 bits: a shorter secret could be found by trying, given one key or token made with it."""

_TEXT_LENGTH_MAX = 2_048


class SettingsError(Exception):
    """The settings cannot be used. `faults` has one sentence for each thing that is wrong."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a setting takes, in words, and how it is read; `read` answers None for anything else."""

    words: str
    read: Callable[[object], Any]


def whole_number(least: int, most: int) -> Accepted:
    def read(value: object) -> int | None:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        return value if type(value) is int and least <= value <= most else None

    return Accepted(f"a whole number from {least} to {most}", read)


def one_of(*choices: str) -> Accepted:
    words = ", ".join(choices[:-1]) + " or " + choices[-1]
    return Accepted(words, lambda value: str(value) if str(value) in choices else None)


def _read_text(value: object) -> str | None:
    is_text = isinstance(value, str | Path) and 1 <= len(str(value)) <= _TEXT_LENGTH_MAX and str(value).isprintable()
    return str(value) if is_text else None


def is_key_text(text: str) -> bool:
    """Whether text can be a key that goes out in a header: nothing that HTTP forbids there, or that would end it."""
    return text.isascii() and text.isprintable() and " " not in text


def _read_key(value: object) -> str | None:
    text = _read_text(value)
    return text if text is not None and is_key_text(text) else None


def _read_path(value: object) -> Path | None:
    return Path(text) if (text := _read_text(value)) else None


def _read_secret_text(value: object) -> str | None:
    text = _read_text(value)
    return text if text and len(text.encode()) >= SECRET_BYTES_LEAST else None


def read_database(value: object) -> str | None:
    text = _read_text(value) or ""
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return text if rest[:1] == "/" and rest[1:] not in ("", "/", ":memory:") else None
    return text if scheme == "postgresql" and rest else None


def _read_jwks_url(value: object) -> str | None:
    text = _read_text(value) or ""
    if text.startswith("file:///"):
        return text
    return text if _is_url(text, {"https"}) else None


def _read_server_url(value: object) -> str | None:
    text = _read_text(value) or ""
    return text.rstrip("/") if _is_url(text, {"http", "https"}) else None


def _is_url(text: str, schemes: set[str]) -> bool:
    try:
        url = urlsplit(text)
        _ = url.port  # reading it is what checks it
    except ValueError:
        return False
    return url.scheme in schemes and bool(url.hostname) and "@" not in url.netloc and not url.fragment


def _read_origins(value: object) -> str | None:
    origins = [each.strip() for each in (_read_text(value) or "").split(",")]
    return ",".join(origins) if all(_is_origin(each) for each in origins) else None


def _is_origin(text: str) -> bool:
    """As browsers send it: scheme and host, a port where it is not the usual one, and nothing after."""
    return text.isascii() and _is_url(text, {"http", "https"}) and text.count("/") == 2 and "?" not in text  # noqa: PLR2004


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
    return _LOG_LEVELS.get(str(value).lower())


def _read_providers(value: object) -> "tuple[ProviderSettings, ...] | None":
    """A table of tables, so it can only come from TOML."""
    if not isinstance(value, dict):
        return None
    providers = [found for name, one in value.items() if (found := _read_provider(name, one)) is not None]
    return tuple(providers) if len(providers) == len(value) else None


def _read_provider(name: str, value: object) -> "ProviderSettings | None":
    if not _PROVIDER_NAME.fullmatch(name) or not isinstance(value, dict) or value.keys() - _PROVIDER_KEYS:
        return None
    dialect, base_url = _read_text(value.get("dialect")), _read_server_url(value.get("base_url"))
    api_key = _read_key(value["api_key"]) if "api_key" in value else ""
    if dialect is None or base_url is None or api_key is None:
        return None
    return ProviderSettings(name, dialect, base_url, api_key)


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

_PROVIDER_KEYS = frozenset({"dialect", "base_url", "api_key"})
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_KEY_WORDS = "ASCII text without a space or a line break"

TEXT = Accepted("text without a line break", _read_text)
KEY = Accepted(_KEY_WORDS, _read_key)
PATH = Accepted("the path of a file", _read_path)
SECRET = Accepted(f"at least {SECRET_BYTES_LEAST} bytes of text without a line break", _read_secret_text)
DATABASE = Accepted("sqlite:///relative/path, sqlite:////absolute/path or postgresql://…", read_database)
JWKS = Accepted("an https:// address without user name, or file:///absolute/path", _read_jwks_url)
ORIGINS = Accepted("origins like https://app.example.com, with commas between them", _read_origins)
SERVER = Accepted("an http:// or https:// address", _read_server_url)
NETWORKS = Accepted("addresses or CIDR ranges, with commas between them, or *", _read_networks)
LOG_LEVEL = Accepted("debug, info, warning or error", _read_log_level)
PROVIDERS = Accepted(
    f"in TOML, a table for each with dialect, base_url and, if it asks for one, api_key ({_KEY_WORDS})", _read_providers
)
OWN_KEYS = Accepted("openai, anthropic or gemini, with commas between them", _read_own_key_providers)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider of models: its name in our paths, the API that it speaks, its address as its own client would be
    given it, and our key to it. `needs_key`: nothing is sent without a key, ours or the company's own."""

    name: str
    dialect: str
    base_url: str
    api_key: str = field(default="", repr=False)
    needs_key: bool = False
