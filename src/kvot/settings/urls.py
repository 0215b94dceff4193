"""URLs of settings: what is wrong with one, in words, and how one is shown. Never shows a user name or a password."""

import re
from urllib.parse import parse_qsl, urlsplit

_AUTHORITY = re.compile(r"^([a-z][a-z0-9+.-]*:/+)?.*@", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"\?.+", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 65_535
_PORT_WORDS = f"an address whose port is a whole number from 1 to {_PORT_MAX}"
_NO_QUERY = "an address without a ? and what follows it"
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", re.DOTALL)


def masked(text: str) -> str:
    """A value as messages repeat it: whatever stands before an @, or in a query, may be a secret.

    Up to the last @, since a password may hold one, or a slash, although it should not.
    """
    return _QUERY.sub("?***", _AUTHORITY.sub(r"\1***@", text))


def url_fault(text: str, schemes: set[str], words: str, no_query: str | None = _NO_QUERY) -> str | None:
    """What a URL over HTTP must be and is not; None if nothing is wrong. `words`: said of what is no such URL;
    `no_query`: of one with a query, behind which no path could be put. None takes it."""
    try:
        url = urlsplit(text)
    except ValueError:
        return words
    if url.scheme not in schemes or not url.hostname:
        return words
    port = _bad_port(url.netloc.rpartition("@")[2])
    if "@" in url.netloc or (port is not None and "@" in text):
        return "an address without user name or password"
    if not _is_name(url.hostname):
        return "an address whose host can be a name: letters and digits, 1 to 63 of them between its dots"
    if "#" in text:
        return "an address without a # and what follows it"
    if "?" in text and no_query is not None:
        return no_query
    return None if port is None else _PORT_WORDS


def postgres_fault(text: str) -> str | None:
    """What the URL of a PostgreSQL server must be and is not: its hosts and ports, where our driver looks for them."""
    try:
        url = urlsplit(text)
    except ValueError:
        return "postgresql://user@host/database, with an IPv6 address in brackets"
    who, _, hosts = url.netloc.rpartition("@")
    port = next(filter(None, map(_bad_port, hosts.split(","))), None)
    is_cut = not who and ":" in hosts and ("@" in url.path or (port is not None and "@" in text))
    if "@" in who or is_cut:  # what stands where the port does may be of the password
        return (
            "postgresql://user:password@host/database, with %40 for @, %2F for /, %3F for ? and %23 for # in a password"
        )
    options = dict(parse_qsl(url.query))
    if any("," in each and "" in each.split(",") for each in (hosts, options.get("host", ""))):
        return "postgresql://user@host,host/database, with a host before and after each comma"
    port = port or next(filter(None, map(_bad_port, _hosts_among(options))), None)
    return None if port is None else f"{_PORT_WORDS}, not {port[:20]!r}"


def _is_name(host: str) -> bool:
    """Whether a host could be asked for at all: the system's look-up would raise UnicodeError where it could not."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _hosts_among(options: dict[str, str]) -> list[str]:
    """`?host=…&port=…`, as hosts with ports. A folder of sockets has none."""
    hosts = [host for host in options.get("host", "").split(",") if not host.startswith("/")]
    return [*hosts, *(f":{port}" for port in options.get("port", "").split(","))]


def _bad_port(host: str) -> str | None:
    """What stands in a host for its port and is none. An empty one is the usual one."""
    found = _HOST_AND_PORT.fullmatch(host)
    port = found[2] if found else host
    return None if not port or (_PORT.fullmatch(port) and 1 <= int(port) <= _PORT_MAX) else port
