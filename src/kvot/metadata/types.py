"""Generated classes in their two forms: with header, routes and return types for `/types/{lang}`, bare for the page."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from kvot.contract.describe import Operation
from kvot.metadata.header import header
from kvot.metadata.languages import LANGUAGES, language_of
from kvot.metadata.model import Model
from kvot.metadata.options import defaults_of, read_options
from kvot.metadata.selection import applied


def types_source(key: str, model: Model, query: Iterable[tuple[str, str]], base_url: str, now: datetime) -> str | None:
    """What `/types/{key}?{query}` answers, or None for a language that does not exist. `now`: server's local time."""
    language = language_of(key)
    if language is None:
        return None
    options = read_options(language.options, query)
    written = language.source(applied(model, options), options)
    if not options.has_header:
        return written
    return header(language.header, options, model.host.generator_version, base_url, now) + written


def page_source(key: str, model: Model, operation: Operation) -> str | None:
    """The classes that the operation page shows, or None for a language that does not exist."""
    language = LANGUAGES.get(key.lower())
    if language is None:
        return None
    defaults = defaults_of(language.options)
    # The page declares nothing that the client library brings along.
    values = {**defaults.values, "AddServiceStackTypes": "False"}
    return language.source(model.page_of(operation), replace(defaults, values=values, has_header=False))
