"""`/types/{lang}`: header, options, and which types they choose."""

import pytest

from kvot.contract import OPERATIONS
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.model import model_of
from kvot.metadata.types import page_source, types_source
from tests.metadata.golden import BASE_URL, NOW

MODEL = model_of()


def served(key, *query):
    return types_source(key, MODEL, query, BASE_URL, NOW)


def classes(*query):
    lines = served("python", *query).splitlines()
    return [line[6:].split("(")[0].rstrip(":") for line in lines if line.startswith("class ")]


@pytest.mark.parametrize("key", LANGUAGES)
def test_tools_find_the_word_that_they_look_for(key):
    head = served(key)[:400]
    assert "Options:" in head
    assert "Date: 2026-08-06 02:13:26" in head
    assert "Version: 10.0\n" in head
    assert f"BaseUrl: {BASE_URL}" in head


@pytest.mark.parametrize("key", LANGUAGES)
def test_without_options_there_is_no_header(key):
    assert "Options:" not in served(key, ("WithoutOptions", ""))


def test_a_given_option_loses_its_marker_and_the_others_keep_it():
    lines = served("typescript", ("includetypes", "GetAiChatUsage.*")).splitlines()
    assert "IncludeTypes: GetAiChatUsage.*" in lines
    assert "//ExcludeTypes: " in lines


def test_the_header_of_a_file_asks_for_the_same_file_again():
    first = served("typescript", ("IncludeTypes", "GetAiChatUsage.*"), ("MakePropertiesOptional", "true"))
    header = first.partition("*/")[0].splitlines()[1:]
    replayed = [tuple(line.split(": ", 1)) for line in header if ": " in line and not line.startswith("//")]
    assert served("typescript", *replayed) == first


def test_an_unknown_language_has_no_source():
    assert served("cobol") is None


def test_languages_are_found_in_any_case():
    assert served("Python") == served("python")


@pytest.mark.parametrize(
    "query",
    [
        ("attr_accessor", "id"),
        ("", ""),
        ("Date", "2026"),
        ("MakePropertiesOptional", "perhaps"),
        ("GlobalNamespace", ""),
    ],
)
def test_what_no_option_means_is_ignored(query):
    assert served("typescript", query) == served("typescript")


@pytest.mark.parametrize("value", ["a\nb", "a*/b", 'a"b', "a(b)", "a;b", "'", "é", "a" * 2_001, "a\0"])
def test_a_value_cannot_leave_the_comment_that_it_is_written_into(value):
    assert served("typescript", ("IncludeTypes", value)) == served("typescript")


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("GetAiChatUsage", ["GetAiChatUsage"]),
        ("GetAiChatUsage.*", ["AiChatUsageResponse", "ICompany", "GetAiChatUsage"]),
        ("RevokeApiKey.*", ["RevokeApiKeyResponse", "RevokeApiKey"]),
        ("*.ApiKeyInfo", ["CreateApiKeyResponse", "ApiKeyQueryResponse"]),
        ("ApiKeyInfo, RevokeApiKey", ["ApiKeyInfo", "RevokeApiKey"]),
        ("{none,such},ApiKeyInfo", ["ApiKeyInfo"]),
        ("AiChat", []),
        ("Elsewhere/*", []),
    ],
)
def test_include_types(include, expected):
    assert classes(("IncludeTypes", include)) == expected


@pytest.mark.parametrize("namespace", ["BokaMera", "BokaMera.API.ServiceModel.Dtos"])
def test_a_namespace_includes_all_that_lies_in_it(namespace):
    assert classes(("IncludeTypes", f"{namespace}/*")) == classes()


def test_tags_include_their_operations_and_what_those_need():
    assert not classes(("IncludeTypes", "{ai}"))


def test_exclude_types_by_name_and_by_kind():
    requests = [dto.name for dto in MODEL.dtos if dto.is_request]
    assert "ApiKeyInfo" not in classes(("ExcludeTypes", "ApiKeyInfo"))
    assert not set(requests) & set(classes(("ExcludeTypes", "services")))
    assert classes(("ExcludeTypes", "types")) == requests


def test_options_change_the_classes():
    assert "implements IReturn" not in served("typescript", ("AddReturnMarker", "false"))
    assert "@description" not in served("typescript", ("AddDescriptionAsComments", "False"))
    assert "companyId?: string" in served("typescript", ("MakePropertiesOptional", "1"))
    assert "tokensUsed?: number" in served("typescript", ("MakePropertiesOptional", "1"))
    assert "expiresAt?: string" in served("typescript", ("TreatTypesAsStrings", "DateTime"))


def test_the_page_of_a_language_that_opens_in_its_header_opens_all_the_same():
    opening = "<?php namespace dtos;\n"
    assert (page_source("php", MODEL, OPERATIONS["getaichatusage"]) or "").startswith(opening + "\nuse ")
    assert served("php").startswith(opening + "/* Options:\n")
    assert served("php").count("<?php") == 1
    assert served("php", ("WithoutOptions", "")).startswith(opening + "\nuse ")
