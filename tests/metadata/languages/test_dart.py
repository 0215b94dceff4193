"""Dart classes: parsed by a grammar, for no compiler of Dart comes from Debian, PyPI or npm."""

import pytest

from tests.metadata.grammar import must_parse
from tests.metadata.languages.odd import odd_page, odd_texts
from tests.metadata.served import save_pages, save_types, types_text


def test_the_classes_parse(tmp_path):
    must_parse("dart", save_types(tmp_path, "dtos.dart", "dart"), *save_pages(tmp_path, "dart", "dart"))


def test_the_casing_of_the_original_parses(tmp_path):
    must_parse("dart", save_types(tmp_path, "dtos.dart", "dart", "pascal"))


@pytest.mark.parametrize("optional", ["True", "False"])
def test_the_classes_parse_with_options_of_their_own(tmp_path, optional):
    query = [("AddImplicitVersion", "7"), ("MakePropertiesOptional", optional), ("BaseClass", "Mine")]
    (tmp_path / "dtos.dart").write_text(types_text("dart", "camel", *query))
    must_parse("dart", tmp_path / "dtos.dart")


@pytest.mark.parametrize("options", ["plain", "required", "bare"])
def test_what_is_odd_parses(tmp_path, options):
    (tmp_path / "odd.dart").write_text(odd_texts("dart")[options])
    (tmp_path / "page.dart").write_text(odd_page("dart"))
    must_parse("dart", tmp_path / "odd.dart", tmp_path / "page.dart")


@pytest.mark.parametrize(
    "line",
    [
        "class GetAiChatUsage implements IReturn<AiChatUsageResponse>, ICompany, IConvertible",
        "    createResponse() => AiChatUsageResponse();",
        '    getResponseTypeName() => "AiChatUsageResponse";',
        '    getTypeName() => "GetAiChatUsage";',
        "    int? tokensUsed;",
        "        'createdAt': JsonConverters.toJson(createdAt,'DateTime',context!),",
        "        results = JsonConverters.fromJson(json['results'],'List<ApiKeyInfo>',context!);",
        "    'List<ApiKeyInfo>': TypeInfo(TypeOf.Class, create:() => <ApiKeyInfo>[]),",
        "    'ICompany': TypeInfo(TypeOf.Interface),",
    ],
)
def test_what_the_client_needs_is_there(line):
    assert line in types_text("dart").splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "    String? default_;",
        "        default_ = json['default'];",
        "        'default': default_,",
        "    String? hashCode_;",
        "class List_ implements IConvertible",
        '    getTypeName() => "List";',
        "    List<List_>? nesteds;",
        "    Map<String,String>? map;",
        "        double_ = JsonConverters.toDouble(json['double']);",
    ],
)
def test_names_that_dart_has_taken(line):
    assert line in odd_texts("dart")["plain"].splitlines()


def test_members_that_must_be_there_begin_with_a_value():
    lines = types_text("dart", "camel", ("MakePropertiesOptional", "False")).splitlines()
    assert "    int tokensUsed = 0;" in lines
    assert "    List<String> roles = [];" in lines
