"""The model adds to the contract what follows by rule."""

import pytest

from kvot.contract import OPERATIONS, ROUTES
from kvot.metadata.model import DtoMember, Model, camel_case, model_of, route_of

MODEL = model_of()


def members(name: str, model: Model = MODEL) -> dict[str, DtoMember]:
    dto = model.named(name)
    assert dto is not None
    return {member.name: member for member in dto.members}


def test_every_type_comes_after_those_that_it_refers_to():
    seen: set[str] = set()
    for dto in MODEL.dtos:
        unknown = {name for name in dto.references if MODEL.named(name)} - seen
        assert not unknown, f"{dto.name} comes before {unknown}"
        seen.add(dto.name)


def test_every_request_is_there_once():
    names = [dto.name for dto in MODEL.dtos if dto.is_request]
    assert names == [operation.name for operation in ROUTES]
    assert len({dto.name for dto in MODEL.dtos}) == len(MODEL.dtos)


def test_the_page_knows_no_operation_and_no_type_of_the_client_library():
    page = MODEL.page_of(OPERATIONS["getaichatusage"])
    assert [dto.name for dto in page.dtos] == ["AiChatUsageResponse", "GetAiChatUsage"]
    assert all(dto.operation is None for dto in page.dtos)


def test_roles_stand_in_place_of_the_plain_rule():
    def validator(name):
        (dto,) = MODEL.where(lambda dto: dto.name == name).dtos
        return dict(dto.attributes[1].arguments)["Validator"]

    assert validator("GetAiChatUsage") == "IsAuthenticated"
    assert validator("CorrectAiChatUsage") == "HasRole('superadmin')"
    assert validator("ImportAiChatUsage") == "HasAnyRole(['superadmin','usage-writer'])"


@pytest.mark.parametrize(
    ("name", "optional", "shown"),
    [
        ("CompanyId", True, "Guid?"),
        ("WindowDays", True, "int?"),
        ("At", True, "DateTime?"),
    ],
)
def test_optional_members_say_so(name, optional, shown):
    member = members("GetAiChatUsageReport")[name]
    assert (member.is_optional, member.csharp_type) == (optional, shown)


def test_a_required_list_and_a_response_status_are_not_optional():
    assert not members("ImportAiChatUsage")["Events"].is_optional
    assert not members("AiChatUsageResponse")["ResponseStatus"].is_optional


def test_maps_are_maps_of_strings():
    meta = members("ResponseStatus")["Meta"]
    assert (meta.clr, meta.is_map, meta.csharp_type) == ("String", True, "Dictionary<string, string>")


@pytest.mark.parametrize(
    ("pascal", "camel"),
    [
        ("CompanyId", "companyId"),
        ("UUUl", "uuUl"),
        ("UUl", "uUl"),
        ("Ull", "ull"),
        ("UU", "uu"),
        ("a", "a"),
        ("_A", "_A"),
    ],
)
def test_camel_case_lowers_the_leading_capitals(pascal, camel):
    assert camel_case(pascal) == camel


@pytest.mark.parametrize(("case", "name"), [("camel", "companyId"), ("pascal", "CompanyId")])
def test_members_follow_the_casing_of_the_host(case, name):
    assert members("GetAiChatUsage", model_of(json_case=case))["CompanyId"].json_name == name


def test_samples_show_the_route_that_writes():
    assert route_of(OPERATIONS["updateaichatbudget"]).verb == "PUT"
