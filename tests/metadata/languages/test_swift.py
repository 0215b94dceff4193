"""Swift classes: parsed by a grammar, for no compiler of Swift comes from Debian, PyPI or npm."""

import pytest

from tests.metadata.grammar import must_parse
from tests.metadata.languages.odd import odd_page, odd_texts
from tests.metadata.served import save_pages, save_types, types_text


def class_of(text, name):
    start = text.index(f"public class {name} ")
    return text[start : text.index("\n}\n", start)]


def test_the_classes_parse(tmp_path):
    must_parse("swift", save_types(tmp_path, "dtos.swift", "swift"), *save_pages(tmp_path, "swift", "swift"))


@pytest.mark.parametrize("optional", ["True", "False"])
def test_the_classes_parse_with_options_of_their_own(tmp_path, optional):
    query = [("AddImplicitVersion", "7"), ("MakePropertiesOptional", optional), ("BaseClass", "Mine")]
    (tmp_path / "dtos.swift").write_text(types_text("swift", "camel", *query))
    must_parse("swift", tmp_path / "dtos.swift")


@pytest.mark.parametrize("options", ["plain", "required", "bare"])
def test_what_is_odd_parses(tmp_path, options):
    (tmp_path / "odd.swift").write_text(odd_texts("swift")[options])
    (tmp_path / "page.swift").write_text(odd_page("swift"))
    must_parse("swift", tmp_path / "odd.swift", tmp_path / "page.swift")


def test_a_request_says_what_it_returns():
    request = class_of(types_text("swift"), "GetAiChatUsage")
    assert request.startswith("public class GetAiChatUsage : IReturn, ICompany, Codable\n")
    assert "    public typealias Return = AiChatUsageResponse\n" in request
    assert "VoidRequest : IReturnVoid, Swift.Codable" in odd_texts("swift")["plain"]


def test_members_are_optional_unless_asked_otherwise():
    assert "var tokensUsed:Int?\n" in types_text("swift")
    required = types_text("swift", "camel", ("MakePropertiesOptional", "False"))
    assert "var tokensUsed:Int\n" in required
    assert "var roles:[String] = []\n" in required


def test_members_are_camel_case_whatever_the_host_writes():
    assert types_text("swift", "pascal") == types_text("swift", "camel")


@pytest.mark.parametrize(
    "line",
    [
        "public var `default`:String?",
        "public var `self`:String?",
        "public var Description:String?",
        'case Description = "description"',
        'case `default` = "default"',
        "public class `Self` : Swift.Codable",
        "public var ofAny:`Any`?",
        "public var ofArray:Array?",
        "public var at:Foundation.Date?",
        "public var nested:Date?",
        "public var int32:Swift.Int?",
    ],
)
def test_names_that_swift_has_taken(line):
    assert line in (written.strip() for written in odd_texts("swift")["plain"].splitlines())
