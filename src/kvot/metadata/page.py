"""The pages that people read: the index of operations, and one page per operation and format.

They are whole in themselves: no script, no address but those of this service. Every text goes through the templates'
escaping, also what came from the query.
"""

import base64
import hashlib
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kvot.contract import ROUTES
from kvot.contract.describe import Operation
from kvot.metadata.languages import LANGUAGES, PAGE_KEYS
from kvot.metadata.model import Model
from kvot.metadata.parameters import parameter_tables
from kvot.metadata.samples import SAMPLE_FORMATS, sample_of
from kvot.metadata.types import page_source

_ECHO_MAX: Final = 64
"""Characters of an unknown language or operation that a page says back: longer than any that exists."""


def index_page(model: Model, operations: tuple[Operation, ...] = ROUTES) -> str:
    """`/metadata`: every operation, every language."""
    return (
        _environment()
        .get_template("index.html")
        .render(
            title=model.host.service_name,
            style=_style(),
            operations=operations,
            formats=tuple(SAMPLE_FORMATS),
            languages=LANGUAGES,
        )
    )


def operation_page(operation: Operation, key: str, model: Model, host_name: str, lang: str = "") -> str | None:
    """`/{key}/metadata?op={operation}&lang={lang}`, or None for a format that has no page.

    host_name: what the caller calls this service, as in its `Host` header. Without `lang`: tables of parameters. An
    unknown `lang` is said so on the page.
    """
    form = SAMPLE_FORMATS.get(key.lower())
    if form is None:
        return None
    lang = lang.lower()
    source = page_source(lang, model, operation)
    return (
        _environment()
        .get_template("operation.html")
        .render(
            title=model.host.service_name,
            style=_style(),
            operation=operation,
            roles=f"Requires any of the roles: {', '.join(operation.roles)}",
            address=f"/{key.lower()}/metadata?op={operation.name}",
            bar=[("", "Metadata"), *((name, LANGUAGES[name].label) for name in PAGE_KEYS)],
            lang=lang,
            label=LANGUAGES[lang].label if lang in LANGUAGES else "",
            source=None if source is None else source.rstrip("\n"),
            message=f"There is no language '{lang[:_ECHO_MAX]}'. There are: {', '.join(PAGE_KEYS)}.",
            tables=() if lang else parameter_tables(operation, model, form.has_json_names),
            format=form,
            sample=sample_of(operation, form, model, host_name),
        )
    )


def unknown_operation_page(name: str, model: Model) -> str:
    """What a page's address answers that names no operation of ours."""
    return (
        _environment()
        .get_template("unknown.html")
        .render(title=model.host.service_name, style=_style(), name=name[:_ECHO_MAX])
    )


def style_source() -> str:
    """The source expression that lets a Content-Security-Policy admit the pages' style and no other: `'sha256-…'`."""
    digest = hashlib.sha256(_style().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("kvot.metadata"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> Markup:
    """The style sheet as it stands in the page. It is ours, so it is not escaped."""
    environment = _environment()
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, "style.css")
    return Markup(source)
