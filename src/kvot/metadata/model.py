"""The types of the contract as generated classes show them. Every language and page works from this model alone.

It adds to the contract what follows by rule: attributes, the casing of members, what a type refers to, and an order in
which a type comes after those that it needs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from kvot.contract import HOST, ROUTES, Host
from kvot.contract.describe import Member, MemberType, Operation, Route, members_of
from kvot.contract.interfaces import INTERFACES
from kvot.contract.status import ResponseError, ResponseStatus

JsonCase = Literal["camel", "pascal"]

BUILT_IN: Final = frozenset({ResponseStatus.__name__, ResponseError.__name__})
"""Types that ServiceStack's client libraries bring along. Most languages name them and never declare them."""

_VALUE_TYPES: Final = frozenset({"Guid", "Int32", "Int64", "Double", "Boolean", "DateTime"})
_CSHARP_NAMES: Final = {"String": "string", "Int32": "int", "Int64": "long", "Double": "double", "Boolean": "bool"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a type or member, its named arguments sorted by name: `ApiMember(Description="…")`."""

    name: str
    arguments: tuple[tuple[str, str | int | bool], ...]


@dataclass(frozen=True, slots=True)
class DtoMember:
    """One member. `clr` is the CLR type of one value: of one element of a list, of one value of a map.

    `initial`: what it holds before anything is said, where that is a number of its own.
    `is_optional`: it may be left out, `string?` in C#. ResponseStatus is not: the published types declare it so, though
    a reply may well lack it.
    """

    name: str  # CompanyId
    snake_name: str  # company_id
    json_name: str  # as the host writes JSON: companyId or CompanyId
    clr: str
    is_list: bool = False
    is_map: bool = False
    is_optional: bool = False
    description: str | None = None
    attributes: tuple[Attribute, ...] = ()
    source: Member | None = None
    initial: int | None = None

    @property
    def is_value_type(self) -> bool:
        return self.clr in _VALUE_TYPES and not (self.is_list or self.is_map)

    @property
    def csharp_type(self) -> str:
        """The name that pages show: `Guid?`, `List<string>`. Only value types carry the mark of an optional one."""
        scalar = _CSHARP_NAMES.get(self.clr, self.clr)
        if self.is_list:
            return f"List<{scalar}>"
        if self.is_map:
            return f"Dictionary<string, {scalar}>"
        return f"{scalar}?" if self.is_optional and self.is_value_type else scalar


@dataclass(frozen=True, slots=True)
class DtoOperation:
    """What makes a type a request. The operation page leaves it out; `/types` shows it.

    `returns` None: nothing. `has_marker`: the class says what it returns, `IReturn<X>` or `IReturnVoid`.
    """

    routes: tuple[Route, ...]
    returns: str | None
    verb: str
    tags: tuple[str, ...]
    has_marker: bool = True


@dataclass(frozen=True, slots=True)
class Dto:
    name: str
    members: tuple[DtoMember, ...]
    implements: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    operation: DtoOperation | None = None
    is_request: bool = False
    is_interface: bool = False

    @property
    def attributes_with_routes(self) -> tuple[Attribute, ...]:
        """`Route("/path", "GET")` first: its arguments have no names."""
        routes = self.operation.routes if self.operation else ()
        return (
            *(Attribute("Route", (("", route.path), ("", route.verb))) for route in routes),
            *self.attributes,
        )

    def markers(self, generic: str, void: str) -> tuple[str, ...]:
        """How the class says what it returns: `generic` with the type's name put in, or `void`, or not at all."""
        if self.operation is None or not self.operation.has_marker:
            return ()
        return (generic.format(self.operation.returns),) if self.operation.returns else (void,)

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the types that this one needs, in the order in which they are met."""
        returned = (self.operation.returns,) if self.operation and self.operation.returns else ()
        return (*returned, *self.implements, *(member.clr for member in self.members))


@dataclass(frozen=True, slots=True)
class Model:
    """Types, each after those that it refers to."""

    dtos: tuple[Dto, ...]
    host: Host = HOST
    json_case: JsonCase = "camel"

    def named(self, name: str) -> Dto | None:
        return next((dto for dto in self.dtos if dto.name == name), None)

    def where(self, keep: Callable[[Dto], bool]) -> "Model":
        return replace(self, dtos=tuple(dto for dto in self.dtos if keep(dto)))

    def mapped(self, change: Callable[[Dto], Dto]) -> "Model":
        return replace(self, dtos=tuple(change(dto) for dto in self.dtos))

    def reached_from(self, names: Iterable[str]) -> frozenset[str]:
        """The names themselves and all that they refer to, at any distance."""
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            dto = self.named(waiting.pop())
            if dto is not None and dto.name not in reached:
                reached.add(dto.name)
                waiting.extend(dto.references)
        return frozenset(reached)

    def page_of(self, operation: Operation) -> "Model":
        """What the operation page shows: no routes and no return type, nothing that the client library declares."""
        reached = self.reached_from([operation.name])
        shown = self.where(lambda dto: dto.name in reached and not dto.is_interface and dto.name not in BUILT_IN)
        return shown.mapped(lambda dto: replace(dto, operation=None))

    def requests_first(self) -> "Model":
        return replace(self, dtos=tuple(sorted(self.dtos, key=lambda dto: not dto.is_request)))

    def alphabetical(self) -> "Model":
        return replace(self, dtos=tuple(sorted(self.dtos, key=lambda dto: dto.name)))


def model_of(operations: tuple[Operation, ...] = ROUTES, host: Host = HOST, json_case: JsonCase = "camel") -> Model:
    """The model of these operations and all types they need, dependencies first."""
    found: dict[str, Dto] = {}
    for operation in operations:
        for dto in _met_by(operation, json_case):
            found.setdefault(dto.name, dto)
    return Model(tuple(found.values()), host, json_case)


def _met_by(operation: Operation, json_case: JsonCase) -> Iterator[Dto]:
    if operation.response is not None:
        yield from _with_dependencies(operation.response, json_case)
    for name in operation.implements:
        yield replace(_dto(INTERFACES[name], json_case), is_interface=True)
    *dependencies, request = _with_dependencies(operation.request, json_case)
    yield from dependencies
    yield replace(
        request,
        is_request=True,
        implements=operation.implements,
        attributes=_class_attributes(operation),
        operation=DtoOperation(
            operation.routes,
            operation.response.__name__ if operation.response else None,
            verb_of(operation),
            operation.tags,
        ),
    )


def _with_dependencies(struct: type[msgspec.Struct], json_case: JsonCase) -> Iterator[Dto]:
    for member in members_of(struct):
        if hasattr(member.scalar, "__struct_fields__"):
            yield from _with_dependencies(member.scalar, json_case)
    yield _dto(struct, json_case)


def _dto(struct: type[msgspec.Struct], json_case: JsonCase) -> Dto:
    return Dto(struct.__name__, tuple(_dto_member(member, json_case) for member in members_of(struct)))


def _dto_member(member: MemberType, json_case: JsonCase) -> DtoMember:
    is_map = member.scalar is dict
    stated = member.member
    return DtoMember(
        name=member.wire_name,
        snake_name=member.name,
        json_name=json_name_of(member.wire_name, json_case),
        clr="String" if is_map else member.clr,
        is_list=member.is_list,
        is_map=is_map,
        is_optional=member.is_nullable
        and member.clr != ResponseStatus.__name__
        and not (stated is not None and stated.is_required),
        description=stated.description if stated else None,
        attributes=(_api_member(stated),) if stated else (),
        source=stated,
    )


def _api_member(member: Member) -> Attribute:
    stated: dict[str, str | bool | None] = {
        "DataType": member.data_type,
        "Description": member.description,
        "IsRequired": member.is_required or None,
        "ParameterType": member.parameter_type,
    }
    return Attribute("ApiMember", tuple((name, value) for name, value in stated.items() if value is not None))


def _class_attributes(operation: Operation) -> tuple[Attribute, ...]:
    """Every operation needs a principal. A rule on roles stands in place of the plain one, which it implies: Java and
    Kotlin take an annotation once."""
    unauthorized = Attribute(
        "ApiResponse", (("Description", "You were unauthorized to call this service"), ("StatusCode", 401))
    )
    return unauthorized, Attribute("ValidateRequest", (("Validator", _validator(operation.roles)),))


def _validator(roles: tuple[str, ...]) -> str:
    if not roles:
        return "IsAuthenticated"
    named = ",".join(f"'{role}'" for role in roles)
    return f"HasRole({named})" if len(roles) == 1 else f"HasAnyRole([{named}])"


_VERBS_BY_PREFERENCE: Final = ("POST", "PUT", "PATCH", "GET", "DELETE")


def route_of(operation: Operation) -> Route:
    """The route that stands for the operation in samples: one that writes, if there is one."""
    return min(operation.routes, key=lambda route: _VERBS_BY_PREFERENCE.index(route.verb))


def verb_of(operation: Operation) -> str:
    """The verb that generated clients use: that of the only route."""
    verbs = {route.verb for route in operation.routes}
    return verbs.pop() if len(verbs) == 1 else "POST"


def json_name_of(name: str, json_case: JsonCase) -> str:
    """The name of a member as the host writes JSON."""
    return camel_case(name) if json_case == "camel" else name


def camel_case(name: str) -> str:
    """`CompanyId` → `companyId`, `UUUl` → `uuUl`: the leading capitals, but for one that begins a word."""
    run = len(name) - len(name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    if run > 1 and run < len(name) and name[run].islower():
        run -= 1
    return name[:run].lower() + name[run:]
