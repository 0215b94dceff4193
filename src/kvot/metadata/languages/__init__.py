"""LANGUAGES: every language that classes are generated in. One module each; none of them knows another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kvot.metadata import header
from kvot.metadata.header import HeaderStyle
from kvot.metadata.languages import (
    csharp,
    dart,
    fsharp,
    go,
    java,
    js,
    kotlin,
    mjs,
    php,
    python,
    ruby,
    rust,
    swift,
    typescript,
    typescript_d,
    vbnet,
    zig,
)
from kvot.metadata.model import Model
from kvot.metadata.options import Options


@dataclass(frozen=True, slots=True)
class Language:
    """A language and how its classes are written.

    `source` writes the classes of a model. A model without operations gives the form of the operation page, one with
    them the form of `/types`. `options`: those that this language offers besides the common ones, with their defaults.
    `content_type`: as the original sends it, which for PHP is odd. `page_end`: what follows the classes on the page.
    """

    label: str
    source: Callable[[Model, Options], str]
    header: HeaderStyle
    options: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/plain"
    page_end: str = ""


LANGUAGES: Final[dict[str, Language]] = {
    "csharp": Language("C#", csharp.source, header.BLOCK, csharp.OPTIONS),
    "mjs": Language("JavaScript", mjs.source, header.BLOCK, mjs.OPTIONS, "text/javascript"),
    "typescript": Language("TypeScript", typescript.source, header.BLOCK, typescript.OPTIONS),
    "dart": Language("Dart", dart.source, header.NESTING_BLOCK, dart.OPTIONS),
    "java": Language("Java", java.source, header.BLOCK, java.OPTIONS),
    "kotlin": Language("Kotlin", kotlin.source, header.NESTING_BLOCK, kotlin.OPTIONS),
    "python": Language("Python", python.source, header.PYTHON, python.OPTIONS),
    "php": Language("PHP", php.source, header.PHP, php.OPTIONS, "text/javascript"),
    "swift": Language("Swift", swift.source, header.SWIFT, swift.OPTIONS, page_end="\n"),
    "vbnet": Language("VB.NET", vbnet.source, header.VBNET, vbnet.OPTIONS),
    "fsharp": Language("F#", fsharp.source, header.FSHARP, fsharp.OPTIONS),
    "go": Language("Go", go.source, header.BLOCK, go.OPTIONS),
    "rust": Language("Rust", rust.source, header.NESTING_BLOCK, rust.OPTIONS),
    "ruby": Language("Ruby", ruby.source, header.RUBY, ruby.OPTIONS),
    "zig": Language("Zig", zig.source, header.ZIG, zig.OPTIONS),
    "js": Language("CommonJS", js.source, header.BLOCK, js.OPTIONS, "text/javascript"),
    "typescript.d": Language("TypeScript declarations", typescript_d.source, header.BLOCK, typescript_d.OPTIONS),
}
"""By the key of `/types/{lang}`, in the order of the operation page's language bar; last those that it has not."""

PAGE_KEYS: Final = tuple(key for key in LANGUAGES if key not in ("js", "typescript.d", "go", "rust", "ruby", "zig"))
"""The languages of the operation page."""

_ALIASES: Final = {"swift4": "swift"}
"""Keys of old that mean a language of today."""


def language_of(key: str) -> Language | None:
    """The language that `/types/{key}` means, in any case."""
    key = key.lower()
    return LANGUAGES.get(_ALIASES.get(key, key))
