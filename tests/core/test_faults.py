"""What is said of a field: the contract's words, and in `meta` every value that they name."""

import pytest

from kvot.core.faults import fault, length_fault, renamed

ENTERED = {"PropertyName": "Hold Id", "PropertyValue": "a b"}


@pytest.mark.parametrize(
    ("found", "message", "meta"),
    [
        (
            length_fault("HoldId", "a b", 5, 9),
            "'Hold Id' must be between 5 and 9 characters. You entered 3 characters.",
            {**ENTERED, "MinLength": "5", "MaxLength": "9", "TotalLength": "3"},
        ),
        (fault("HoldId", "RegularExpression", "a b"), "'Hold Id' is not in the correct format.", ENTERED),
        (
            fault("Roles", "Enum", "bogus"),
            "'Roles' has a range of values which does not include 'bogus'.",
            {"PropertyName": "Roles", "PropertyValue": "bogus"},
        ),
        (
            fault("ExpiresAt", "GreaterThan", 7, ComparisonValue=8),
            "'Expires At' must be greater than '8'.",
            {"PropertyName": "Expires At", "PropertyValue": "7", "ComparisonValue": "8"},
        ),
        (
            fault("Events", "NotEmpty", None),
            "'Events' must not be empty.",
            {"PropertyName": "Events", "PropertyValue": ""},
        ),
        (renamed(fault("User", "NotEmpty", ""), "UserId"), "'User Id' must not be empty.", None),
        (fault("Roles", "Forbidden", "x", "Not yours."), "Not yours.", {"PropertyName": "Roles", "PropertyValue": "x"}),
    ],
)
def test_a_fault_speaks_as_the_contract_does(found, message, meta):
    assert found.message == message
    assert meta is None or found.meta == meta


def test_no_value_is_repeated_without_end():
    meta = fault("Model", "Enum", "x" * 9_999).meta
    assert meta is not None
    assert meta["PropertyValue"] == "x" * 100
