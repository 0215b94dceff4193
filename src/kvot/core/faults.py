"""What is said of a field that breaks a rule: one text a code, the same for rules of the contract and of the ledger.

Codes and texts are those that clients know: docs/reference/errors.md.
"""

import re
from dataclasses import replace

from kvot.core.errors import FieldError

VALUE_SHOWN_MAX = 100
"""Characters of a value that an error repeats."""

MESSAGES = {
    "Enum": "'{PropertyName}' has a range of values which does not include '{PropertyValue}'.",
    "GreaterThan": "'{PropertyName}' must be greater than '{ComparisonValue}'.",
    "InclusiveBetween": "'{PropertyName}' must be between {From} and {To}. You entered {PropertyValue}.",
    "Length": "'{PropertyName}' must be between {MinLength} and {MaxLength} characters. "
    "You entered {TotalLength} characters.",
    "LessThanOrEqual": "'{PropertyName}' must be less than or equal to '{ComparisonValue}'.",
    "NotEmpty": "'{PropertyName}' must not be empty.",
    "RegularExpression": "'{PropertyName}' is not in the correct format.",
}


def fault(field: str, code: str, value: object, message: str | None = None, /, **named: object) -> FieldError:
    """The error of a value that breaks a rule. `named`: what the text of the code names beside the value.

    `message`: what to say instead of that text. A code that is not in the table needs one.
    """
    shown = "" if value is None else str(value)[:VALUE_SHOWN_MAX]
    told = {name: str(each) for name, each in named.items()}
    meta = {"PropertyName": display_name(field), "PropertyValue": shown, **told}
    return FieldError(field, code, message or MESSAGES[code].format_map(meta), meta)


def length_fault(field: str, value: str, least: int, most: int) -> FieldError:
    return fault(field, "Length", value, MinLength=least, MaxLength=most, TotalLength=len(value))


def renamed(error: FieldError, field: str) -> FieldError:
    """The same said of a field that callers know by another name."""
    old, new = display_name(error.field), display_name(field)
    meta = None if error.meta is None else {**error.meta, "PropertyName": new}
    return replace(error, field=field, message=error.message.replace(f"'{old}'", f"'{new}'", 1), meta=meta)


def display_name(field: str) -> str:
    """`TokensUsed` as people read it: `Tokens Used`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", field)
