"""The page that shows the OpenAPI document."""

import re

import pytest

from kvot.contract import ROUTES
from kvot.metadata.model import model_of
from kvot.metadata.openapi import openapi
from kvot.metadata.openapi_page import openapi_page
from tests.metadata.golden import BASE_URL
from tests.metadata.languages.odd import OPERATIONS
from tests.metadata.visible import visible_text

DOCUMENT = openapi(model_of(), BASE_URL, "0.1.0")
PAGE = openapi_page(DOCUMENT)
TEXT = visible_text(PAGE)


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: operation.name)
def test_every_operation_is_there_with_its_route(operation):
    assert f'<section id="{operation.name}">' in PAGE
    assert operation.routes[0].verb in TEXT
    assert operation.routes[0].summary in TEXT


def test_operations_stand_under_their_tag():
    groups = re.split(r"<h3>(\w+)</h3>", PAGE.partition("<section")[0])[1:]
    assert groups[::2] == [tag["name"] for tag in DOCUMENT["tags"]]
    assert "#RevokeApiKey" in groups[groups.index("apikeys") + 1]


def test_a_further_route_has_an_anchor_of_its_own_and_leads_to_the_same_operation():
    page = openapi_page(openapi(model_of(OPERATIONS), BASE_URL, "0.1.0", OPERATIONS))
    assert re.findall(r'<section id="(OddRequest\w*)">', page) == ["OddRequest", "OddRequest_2"]
    assert page.count('href="/json/metadata?op=OddRequest"') == 2


def test_every_type_and_member_is_there():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        section = PAGE.partition(f'<section id="type-{name}">')[2].partition("</section>")[0]
        named = re.findall(r'<th scope="row">([\w-]+)</th>', section)
        assert named == list(schema["properties"]), name


def test_every_reference_leads_to_its_type():
    targets = set(re.findall(r'href="#([\w-]+)"', PAGE))
    assert targets
    assert targets <= set(re.findall(r'id="([\w-]+)"', PAGE))


@pytest.mark.parametrize(
    "words", ["list of AiChatUsageEvent", "int32, at least 1, at most 36500", "int64, more than 0", "map of string"]
)
def test_types_are_said_in_words(words):
    assert words in TEXT


def test_the_page_is_whole_in_itself():
    assert not re.search(r"<script|<link|<img|\son\w+=|style=|(?:src|href)=\"(?![/#])", PAGE)
