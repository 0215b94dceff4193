"""Which column of a file is which field of a row: as the command line says, or by names that everyone uses."""

import re
from collections.abc import Iterable, Mapping, Sequence

FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "eventid"),
    "at": ("at", "time", "timestamp", "datetime", "date", "createdat", "created", "ts"),
    "tokens": ("tokens", "tokensused", "totaltokens", "total"),
    "company": ("company", "companyid"),
    "input": ("input", "inputtokens", "prompt", "prompttokens", "contexttokens"),
    "output": ("output", "outputtokens", "completion", "completiontokens", "generatedtokens"),
    "cached": ("cached", "cachedtokens", "cachedinputtokens"),
    "reasoning": ("reasoning", "reasoningtokens"),
    "model": ("model", "modelname"),
    "provider": ("provider",),
    "user": ("user", "userid"),
    "feature": ("feature",),
}
"""A field, and the names by which its column is known when none was given: lower case, letters and digits alone."""


class NotMapped(ValueError):
    """The file's columns do not say what is needed, or not in the words that were given."""


def parse_map(pairs: Iterable[str]) -> dict[str, str]:
    """`field=column`, several times, as a dictionary."""
    mapping = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not (equals and column and name in FIELDS):
            raise NotMapped(f"--map {pair}: write field=column, with a field of {', '.join(FIELDS)}.")
        mapping[name] = column
    return mapping


def columns_of(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """The index of each field's column in a table with this header."""
    by_name = {_plain(name): index for index, name in reversed(list(enumerate(header)))}
    found = {}
    for name, known_as in FIELDS.items():
        if name in mapping:
            if mapping[name] not in header:
                raise NotMapped(f"--map {name}={mapping[name]}: the file has the columns {', '.join(header)}.")
            found[name] = header.index(mapping[name])
        elif present := [by_name[each] for each in known_as if each in by_name]:
            found[name] = present[0]
    if not found.keys() & {"tokens", "input", "output"}:
        raise NotMapped(
            f"No column says how many tokens: the file has the columns {', '.join(header)}. "
            "Name one with --map tokens=COLUMN, or two with --map input=COLUMN --map output=COLUMN."
        )
    return found


def names_of(keys: Iterable[str], mapping: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of each field in objects that have these keys between them, the best name first."""
    by_name: dict[str, list[str]] = {}
    for key in keys:
        by_name.setdefault(_plain(key), []).append(key)
    found = {
        name: [key for each in known_as for key in sorted(by_name.get(each, ()))] for name, known_as in FIELDS.items()
    }
    return found | {name: [column] for name, column in mapping.items()}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
