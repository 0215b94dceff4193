"""Paths of providers that are not there: what a person meets who has a setting left to make, or a name mistyped.

Clients are told in the words of the API that they speak: where the path begins with a dialect's name, by which setting
it would lead somewhere; where it lacks a name, which base URL has one. Which providers there are is said to those who
are signed in alone. Whoever asks for another format than JSON is no client of such an API, and gets that.
"""

from collections.abc import Sequence
from functools import partial

from kvot.core.errors import NotAuthenticated, NotFound
from kvot.gateway.dialect import Dialect
from kvot.gateway.provider import base_path
from kvot.gateway.providers import DIALECTS
from kvot.http.authenticator import Authenticator, principal_by
from kvot.http.errors import STATUSES
from kvot.http.limits import Headers
from kvot.http.refused_call import AskedFor, new_request_id, read_query, refused_call
from kvot.http.replies import Reply
from kvot.http.surface import Answer, Asked
from kvot.settings import OWN_PROVIDERS, variable
from kvot.wire.formats import JSON

_VERBS = ("POST", "GET")
_SENT = {"anthropic": b"anthropic-version", "gemini": b"x-goog-api-key"}
"""Headers that the clients of one API send, by its dialect."""

_VERSIONS = ("v1", "v1beta")
"""What a base URL without a name may end in; clients of some APIs then say it a second time."""

_OWN = "api"
"""Operations of the contract are called below it, and Ollama's API lies there as well: the contract's words count."""


class Unconfigured:
    """A surface behind the gateway, which has taken the paths that lead to a provider. `providers`: their names."""

    def __init__(self, providers: Sequence[str], authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._there_are = f"Providers here: {', '.join(providers)}." if providers else "No provider is configured here."

    def find(self, path: str) -> Answer | None:
        name, _, rest = path[1:].partition("/")
        if name in DIALECTS:
            message = f"The provider {name} is not configured here: {_next(name)}."
            return partial(_refuse, DIALECTS[name], f"/{rest}", message)
        if name != _OWN and (speakers := _speakers(path)):
            return partial(self._nameless, speakers, path)
        if speakers := _speakers(f"/{rest}"):
            if name in _VERSIONS:
                return partial(self._nameless, speakers, f"/{rest}")
            return partial(self._not_found, speakers, f"/{rest}", "No provider has this name here.")
        return None

    async def _nameless(self, speakers: Sequence[Dialect], path: str, asked: Asked) -> Reply:
        speaker = _speaker(speakers, asked.headers)
        base_url = base_path(speaker.name, speaker)
        message = f"The path lacks the name of a provider in front: set the base URL of the client to …{base_url}."
        return await self._not_found(speakers, path, message, asked)

    async def _not_found(self, speakers: Sequence[Dialect], path: str, message: str, asked: Asked) -> Reply:
        speaker = _speaker(speakers, asked.headers)
        if await self._is_known(speaker, asked):
            message = f"{message} {self._there_are}"
        if asked.format is not JSON:
            raise NotFound(message)
        return await _refuse(speaker, path, message, asked)

    async def _is_known(self, speaker: Dialect, asked: Asked) -> bool:
        credential = speaker.credential(asked.headers, read_query(asked.scope["query_string"]))
        try:
            return await principal_by(self._authenticator, credential, asked.scope) is not None
        except NotAuthenticated:
            return False


def _speakers(path: str) -> list[Dialect]:
    """The dialects that have such a path."""
    return [each for each in DIALECTS.values() if any(each.find(verb, path, {}) for verb in _VERBS)]


def _speaker(speakers: Sequence[Dialect], headers: Headers) -> Dialect:
    """Of those that share the path, the one whose clients send such headers; else the first, which most speak."""
    named = (each for each in speakers if _SENT.get(each.name) in headers)
    return next(named, speakers[0])


async def _refuse(dialect: Dialect, path: str, message: str, asked: Asked) -> Reply:
    scope = asked.scope
    meant = AskedFor(scope["method"], path, read_query(scope["query_string"]), asked.headers.get(b"accept"))
    return Reply(*refused_call(dialect, NotFound(message), STATUSES[NotFound], meant, new_request_id()))


def _next(name: str) -> str:
    if name not in OWN_PROVIDERS:
        return f"name it in the settings file, as [providers.{name}]"
    return f"set {variable(f'{name}_base_url' if name == 'ollama' else f'{name}_api_key')}"
