"""The header of generated classes: when and whence they came, and the options that their reader may change.

A client's tool looks for the text `Options:` and reads the lines without the marker as options in force.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kvot.metadata.options import ORDER, Options


@dataclass(frozen=True, slots=True)
class HeaderStyle:
    """How a language writes the header.

    `prefix` begins every line but the first and last; `marker` follows it where an option is not in force; `tip` is
    what the tip calls that. `extra` are lines after the date. `nests`: a comment inside a comment must be closed too.
    `marks_all`: what is no option begins with the marker as well, and no blank line parts them.
    """

    opening: tuple[str, ...]
    closing: tuple[str, ...]
    marker: str
    tip: str
    prefix: str = ""
    extra: tuple[str, ...] = ()
    nests: bool = False
    marks_all: bool = False


BLOCK: Final = HeaderStyle(("/* Options:",), ("*/",), marker="//", tip="//")
NESTING_BLOCK: Final = HeaderStyle(("/* Options:",), ("*/",), marker="//", tip="//", nests=True)
PYTHON: Final = HeaderStyle(('""" Options:',), ('"""',), marker="#", tip="#")
SWIFT: Final = HeaderStyle(("/* Options:",), ("*/",), marker="//", tip="//", extra=("SwiftVersion: 6.0",), nests=True)
FSHARP: Final = HeaderStyle(("(* Options:",), ("*)",), marker="//", tip="//")
VBNET: Final = HeaderStyle(("' Options:",), (), marker="''", tip="''", prefix="'")
PHP: Final = HeaderStyle(("<?php namespace dtos;", "/* Options:"), ("*/",), marker="//", tip="//")
RUBY: Final = HeaderStyle(("# Options:", "=begin"), ("=end",), marker="#", tip="//")
ZIG: Final = HeaderStyle(("/// Options:",), (), marker="/ ", tip="/ ", prefix="//", marks_all=True)


def header(style: HeaderStyle, options: Options, version: str, base_url: str, now: datetime) -> str:
    """The header block with the blank line that follows it. `now` in the server's local time."""
    about = [
        f"Date: {now:%Y-%m-%d %H:%M:%S}",
        *style.extra,
        f"Version: {version}",
        f'Tip: To override a DTO option, remove "{style.tip}" prefix before updating',
        f"BaseUrl: {options.text('BaseUrl') or base_url}",
    ]
    about = [style.marker + line for line in about] if style.marks_all else [*about, ""]
    offered = [name for name in ORDER if name in options.values and name != "BaseUrl"]
    body = [style.prefix + line for line in (*about, *(_option(style, options, name) for name in offered))]
    return "\n".join([*style.opening, *body, *style.closing, "", ""])


def _option(style: HeaderStyle, options: Options, name: str) -> str:
    value = options.text(name)
    if style.nests:
        value = value.replace("/*", "/ *")  # Reading the option back drops the blank.
    return f"{'' if name in options.given else style.marker}{name}: {value}"
