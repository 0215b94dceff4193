"""The rules that the contract states for members, checked. Codes and texts are those that clients know."""

from dataclasses import replace
from functools import cache

from kvot.contract.describe import MemberType, Request, Rule, members_of
from kvot.core.errors import FieldError
from kvot.core.faults import fault


def violations(request: Request) -> list[FieldError]:
    """One error per rule that a member breaks, in order of declaration. Missing optional members break none."""
    return [
        _fault(member.wire_name, rule, value)
        for member, rules in _ruled_members(type(request))
        for rule in rules
        if not _holds(rule, value := getattr(request, member.name))
    ]


def _fault(name: str, rule: Rule, value: object) -> FieldError:
    found = fault(name, rule.code, value, **rule.bounds)
    return replace(found, message=f"{found.message} {rule.hint}") if rule.hint else found


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
