"""The rules that the contract states for members, checked. Codes and texts are those that clients know."""

import re
from functools import cache

from kvot.contract.describe import MemberType, Request, Rule, members_of
from kvot.core.errors import FieldError

_MESSAGES = {
    "GreaterThan": "'{PropertyName}' must be greater than '{ComparisonValue}'.",
    "InclusiveBetween": "'{PropertyName}' must be between {From} and {To}. You entered {PropertyValue}.",
    "NotEmpty": "'{PropertyName}' must not be empty.",
}


def violations(request: Request) -> list[FieldError]:
    """One error per rule that a member breaks, in order of declaration. Missing optional members break none."""
    return [
        _error(member, rule, value)
        for member, rules in _ruled_members(type(request))
        for rule in rules
        if not _holds(rule, value := getattr(request, member.name))
    ]


@cache
def _ruled_members(request_type: type[Request]) -> list[tuple[MemberType, tuple[Rule, ...]]]:
    return [(each, each.member.rules) for each in members_of(request_type) if each.member and each.member.rules]


def _holds(rule: Rule, value: object) -> bool:
    if rule.code == "NotEmpty":
        return value is not None and value != ""
    if not isinstance(value, int):
        return value is None
    if rule.code == "GreaterThan":
        return value > rule.bounds["ComparisonValue"]
    return rule.bounds["From"] <= value <= rule.bounds["To"]


def _error(member: MemberType, rule: Rule, value: object) -> FieldError:
    meta = {
        "PropertyName": re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", member.wire_name),
        "PropertyValue": "" if value is None else str(value),
        **{name: str(bound) for name, bound in rule.bounds.items()},
    }
    return FieldError(member.wire_name, rule.code, _MESSAGES[rule.code].format_map(meta), meta)
