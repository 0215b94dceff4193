"""The pages that people read: the index of operations, and one page per operation and format.

They are whole in themselves: no script, no address but those of this service. Every text goes through the templates'
escaping, also what came from the query.
"""

from typing import Final

from kvot.contract import ROUTES
from kvot.contract.describe import Operation
from kvot.metadata.languages import LANGUAGES, PAGE_KEYS
from kvot.metadata.model import Model
from kvot.metadata.parameters import parameter_tables
from kvot.metadata.rendering import render
from kvot.metadata.samples import SAMPLE_FORMATS, sample_of
from kvot.metadata.types import page_source

_ECHO_MAX: Final = 64
"""Characters of an unknown language or operation that a page says back: longer than any that exists."""


def index_page(model: Model, operations: tuple[Operation, ...] = ROUTES) -> str:
    """`/metadata`: every operation, every language."""
    return render(
        "index.html",
        title=model.host.service_name,
        operations=operations,
        formats=tuple(SAMPLE_FORMATS),
        languages=LANGUAGES,
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
    return render(
        "operation.html",
        title=model.host.service_name,
        operation=operation,
        roles=f"Requires any of the roles: {', '.join(operation.roles)}",
        address=f"/{key.lower()}/metadata?op={operation.name}",
        bar=[("", "Metadata"), *((name, LANGUAGES[name].label) for name in PAGE_KEYS)],
        lang=lang,
        label=LANGUAGES[lang].label if lang in LANGUAGES else "",
        source=None if source is None else source.rstrip("\n") + LANGUAGES[lang].page_end,
        message=f"There is no language '{lang[:_ECHO_MAX]}'. There are: {', '.join(PAGE_KEYS)}.",
        tables=() if lang else parameter_tables(operation, model, form.has_json_names),
        format=form,
        sample=sample_of(operation, form, model, host_name),
    )


def unknown_operation_page(name: str, model: Model) -> str:
    """What a page's address answers that names no operation of ours."""
    return render("unknown.html", title=model.host.service_name, name=name[:_ECHO_MAX])
