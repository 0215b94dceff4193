"""The server as a client knows it: where it is, the credential it is shown, and what it is called when it fails.

No secret stands in a message: not the key, not what was sent in a header, no password of an address or of a proxy.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from kvot.core.errors import InvalidRequest, KvotError, StoreUnavailable
from kvot.settings.accepted import KEY, SERVER, Accepted, NotAccepted
from kvot.settings.urls import masked

NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
"""Whatever was asked never reached the server: no connection to it came about."""

FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, UnicodeError)
"""What `unanswered` knows: no reply came. UnicodeError: a proxy's name is none that can be looked up."""

Pool = TypeVar("Pool", httpx2.Client, httpx2.AsyncClient)


class Server:
    """Raises InvalidRequest for an address or a key that KVOT_URL and KVOT_API_KEY would not take either.

    timeout_s: how long one question may take in all.
    """

    def __init__(self, url: str, api_key: str | None, timeout_s: float) -> None:
        self.timeout_s = _positive("timeout_s", timeout_s)
        self.url: str = _accepted("The address of the server", url, SERVER, is_shown=True)
        self._headers = {} if api_key is None else {"x-api-key": _accepted("The API key", api_key, KEY, is_shown=False)}

    def pool(self, kind: Callable[..., Pool]) -> Pool:
        """Connections to the server, none of them open yet; by way of a proxy if the environment names one."""
        try:
            return kind(base_url=self.url, headers=self._headers)
        except (ImportError, OSError) as error:  # a proxy that needs a package, a certificate that is not there
            raise InvalidRequest(f"The server {self._shown} cannot be asked: {_text(error)}.") from error
        except (httpx2.InvalidURL, ValueError):  # whose text may be of a password
            raise InvalidRequest(f"The server {self._shown} cannot be asked: no such address can be.") from None

    def unanswered(self, error: Exception, timeout_s: float) -> KvotError:
        """What to raise, from the error, where no reply came: StoreUnavailable if that may pass."""
        if isinstance(error, httpx2.InvalidURL):
            return InvalidRequest(f"The server {self._shown} cannot be asked: {_text(error)}.")
        if isinstance(error, UnicodeError):
            return InvalidRequest(f"The server {self._shown} cannot be asked: no such address can be.")
        if isinstance(error, httpx2.LocalProtocolError):  # its text repeats the header that is at fault
            return StoreUnavailable(f"The server {self._shown} cannot be asked: the request is none of HTTP.")
        what = "cannot be reached" if isinstance(error, NOT_SENT) else "did not answer"
        timed_out = isinstance(error, httpx2.TimeoutException | TimeoutError)
        why = f"within {timeout_s:.3g} seconds" if timed_out else _text(error)
        return StoreUnavailable(f"The server {self._shown} {what}{' ' if timed_out else ': '}{why}.")

    @property
    def _shown(self) -> str:
        proxy = _proxy(self.url)
        return masked(self.url) if proxy is None else f"{masked(self.url)} (by the proxy {masked(proxy)})"


def _accepted(name: str, value: object, accepted: Accepted, *, is_shown: bool) -> Any:
    try:
        return accepted.take(value, is_shown=is_shown)
    except NotAccepted as error:
        raise InvalidRequest("".join(f"{name}{words}" for _, words in error.faults)) from None


_TIMEOUT_MAX_S = 86_400


def _positive(name: str, value: object) -> float:
    if isinstance(value, int | float) and 0 < value <= _TIMEOUT_MAX_S:
        return value
    raise InvalidRequest(
        f"{name} must be a number of seconds, more than 0 and at most {_TIMEOUT_MAX_S}, not {value!r}."
    )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme) or getproxies().get("all")


def _text(error: Exception) -> str:
    return str(error).rstrip(". ") or type(error).__name__
