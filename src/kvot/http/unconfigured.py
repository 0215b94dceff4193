"""Paths of providers that are not there: what a person meets who has a setting left to make, or a name mistyped.

Where the path begins with a dialect's name its clients are told in their own words, and by which setting it would lead
somewhere. Any other is an ordinary 404; which providers there are is said to those who are signed in alone.
"""

from collections.abc import Sequence
from functools import partial

from kvot.core.errors import NotAuthenticated, NotFound
from kvot.gateway.providers import DIALECTS
from kvot.http.errors import STATUSES
from kvot.http.refused_call import AskedFor, read_query, refused_call
from kvot.http.replies import Reply
from kvot.http.surface import Answer, Asked
from kvot.settings import OWN_PROVIDERS, variable

_VERBS = ("POST", "GET")
_OWN = "api"
"""Operations of the contract are called below it, and Ollama's API lies there as well: the contract's words count."""


class Unconfigured:
    """A surface behind the gateway, which has taken the paths that lead to a provider. `providers`: their names."""

    def __init__(self, providers: Sequence[str]) -> None:
        self._there_are = f"There are {', '.join(providers)}." if providers else "There is none."

    def find(self, path: str) -> Answer | None:
        name, _, rest = path[1:].partition("/")
        if name in DIALECTS:
            return _refuse
        if _is_call(path) and name != _OWN:
            return partial(self._not_found, "The path lacks the name of a provider in front.")
        return partial(self._not_found, "No provider has this name here.") if _is_call(f"/{rest}") else None

    async def _not_found(self, message: str, asked: Asked) -> Reply:
        try:
            await asked.principal()
        except NotAuthenticated:
            raise NotFound(message) from None
        raise NotFound(f"{message} {self._there_are}")


def _is_call(path: str) -> bool:
    return any(dialect.find(verb, path, {}) for dialect in DIALECTS.values() for verb in _VERBS)


async def _refuse(asked: Asked) -> Reply:
    scope = asked.scope
    name, _, rest = scope["path"][1:].partition("/")
    error = NotFound(f"The provider {name} is not configured here: {_next(name)}.")
    query = read_query(scope["query_string"])
    meant = AskedFor(scope["method"], f"/{rest}", query, asked.headers.get(b"accept"))
    return Reply(*refused_call(DIALECTS[name], error, STATUSES[NotFound], meant))


def _next(name: str) -> str:
    if name not in OWN_PROVIDERS:
        return f"name it in the settings file, as [providers.{name}]"
    return f"set {variable(f'{name}_base_url' if name == 'ollama' else f'{name}_api_key')}"
