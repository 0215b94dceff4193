"""The options of `/types/{lang}`: their order, how a query states them, what a language starts from.

A client's tool sends back the lines of the header that it finds in its own file, so unknown names are ignored and so is
a value that no header could have held.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

ORDER: Final = (
    *("BaseUrl", "MakePartial", "MakeVirtual", "MakeInternal", "AddReturnMarker", "AddDescriptionAsComments"),
    *("AddDocAnnotations", "AddDataContractAttributes", "MakeDataContractsExtensible", "AddIndexesToDataMembers"),
    *("AddGeneratedCodeAttributes", "InitializeCollections", "AddImplicitVersion", "AddResponseStatus"),
    *("AddServiceStackTypes", "AddModelExtensions", "AddPropertyAccessors", "ExcludeGenericBaseTypes"),
    *("SettersReturnThis", "AddNullableAnnotations", "MakePropertiesOptional", "ExportAsTypes", "ExportValueTypes"),
    *("ExcludeNamespace", "AddDefaultXmlNamespace", "GlobalNamespace", "BaseClass", "Package", "DataClass"),
    *("DataClassJson", "AddNamespaces", "DefaultNamespaces", "DefaultImports", "IncludeTypes", "ExcludeTypes"),
    *("ExportTags", "TreatTypesAsStrings"),
)
"""Every option that the contract knows, in the order of the header. A language offers those that it acts on."""

COMMON: Final[Mapping[str, str]] = {
    "BaseUrl": "",
    "AddReturnMarker": "True",
    "AddDescriptionAsComments": "True",
    "AddResponseStatus": "False",
    "MakePropertiesOptional": "False",
    "IncludeTypes": "",
    "ExcludeTypes": "",
    "TreatTypesAsStrings": "",
}
"""What every language offers, because it is done to the model before any language sees it."""

_VALUE: Final = re.compile(r"[\w .,:*/{}<>@\[\]+-]{0,2000}", re.ASCII)
"""What a value may hold: lists of names, namespaces, addresses. No quote, bracket or line end that would leave the
comment or the code that it is written into. 2,000 characters name every type of the contract several times."""

_DECORATOR: Final = re.compile(r"@[\w.]{1,100}(?:\([\w.,= ]{0,200}\))?", re.ASCII)
_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "AddImplicitVersion": re.compile(r"[0-9]{1,9}"),
    "BaseClass": re.compile(r"[A-Za-z_][\w.]{0,200}", re.ASCII),
    "DataClass": _DECORATOR,
    "DataClassJson": _DECORATOR,
}
"""Options whose values are code, and all that each may be: a number, a name, a decorator that calls nothing else."""

_WITHOUT_OPTIONS: Final = "withoutoptions"
_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


@dataclass(frozen=True, slots=True)
class Options:
    """Values of all options that a language offers, as the header writes them, and which of them the query gave."""

    values: Mapping[str, str]
    given: frozenset[str] = field(default_factory=frozenset)
    has_header: bool = True

    def on(self, name: str) -> bool:
        return self.values.get(name) == "True"

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def names(self, name: str) -> tuple[str, ...]:
        """A comma list; commas inside braces belong to their entry: `{a,b},C` is two entries."""
        entries = re.findall(r"(?:\{[^{}]*\}|[^,{}])+", self.text(name).replace(" ", ""))
        return tuple(entries)


def defaults_of(offered: Mapping[str, str]) -> Options:
    """The options of a language before any query. `offered`: its own options and their defaults."""
    return Options({**COMMON, **offered})


def read_options(offered: Mapping[str, str], query: Iterable[tuple[str, str]]) -> Options:
    """The options that a query states. `query`: decoded pairs in any order; the last of a name counts."""
    options = defaults_of(offered)
    stated = {name.lower(): value.strip() for name, value in query}
    given = {
        name: value
        for name, default in options.values.items()
        if (value := _accepted(stated.get(name.lower()), default, _VALUES.get(name, _VALUE))) is not None
    }
    return Options({**options.values, **given}, frozenset(given), _WITHOUT_OPTIONS not in stated)


def _accepted(value: str | None, default: str, form: re.Pattern[str]) -> str | None:
    """The value as the header writes it; None when it was not given or cannot be meant."""
    if not value or not form.fullmatch(value) or "*/" in value:
        return None
    if default not in ("True", "False"):
        return value
    if value.lower() in _TRUE:
        return "True"
    return "False" if value.lower() in _FALSE else None
