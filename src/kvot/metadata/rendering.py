"""Templates, and the one style sheet of all pages made from them. Everything that is put in is escaped."""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, /, **values: Any) -> str:
    return _environment().get_template(template).render(style=_style(), **values)


@cache
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
