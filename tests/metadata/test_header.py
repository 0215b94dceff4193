"""The header of generated classes, and what a hostile query may not do to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.metadata import header
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.options import COMMON, ORDER, defaults_of, read_options
from tests.metadata.golden import BASE_URL, NOW

NAMES = sorted({*COMMON, *(name for language in LANGUAGES.values() for name in language.options)})


def lines(key, *query):
    language = LANGUAGES[key]
    return header.header(language.header, read_options(language.options, query), "10.0", BASE_URL, NOW).split("\n")


def test_a_header_in_full():
    assert lines("python", ("IncludeTypes", "GetAiChatUsage.*")) == [
        '""" Options:',
        "Date: 2026-08-06 02:13:26",
        "Version: 10.0",
        'Tip: To override a DTO option, remove "#" prefix before updating',
        f"BaseUrl: {BASE_URL}",
        "",
        "#AddReturnMarker: True",
        "#AddDescriptionAsComments: True",
        "#AddImplicitVersion: ",
        "#AddResponseStatus: False",
        "#MakePropertiesOptional: False",
        "#DataClass: @dataclass",
        "#DataClassJson: @dataclass_json(letter_case=LetterCase.CAMEL, undefined=Undefined.EXCLUDE)",
        f"#DefaultImports: {LANGUAGES['python'].options['DefaultImports']}",
        "IncludeTypes: GetAiChatUsage.*",
        "#ExcludeTypes: ",
        "#TreatTypesAsStrings: ",
        '"""',
        "",
        "",
    ]


def test_vb_has_comments_of_one_line_each():
    written = lines("vbnet", ("IncludeTypes", "X"))
    assert written[:2] == ["' Options:", "'Date: 2026-08-06 02:13:26"]
    assert "'IncludeTypes: X" in written
    assert "'''ExcludeTypes: " in written
    assert all(line.startswith("'") for line in written if line)


@pytest.mark.parametrize("key", LANGUAGES)
def test_options_keep_the_order_of_the_contract(key):
    shown = [line.strip("/#' ").partition(":")[0] for line in lines(key)]
    assert [name for name in shown if name in ORDER and name != "BaseUrl"] == [
        name for name in ORDER if name in {**COMMON, **LANGUAGES[key].options} and name != "BaseUrl"
    ]


@pytest.mark.parametrize("key", LANGUAGES)
def test_every_option_that_a_language_offers_is_one_of_the_contract(key):
    assert set(LANGUAGES[key].options) <= set(ORDER)


def test_a_comment_inside_a_comment_is_not_opened_where_it_would_nest():
    options = read_options({}, [("IncludeTypes", "My.Types/*")])
    nesting = header.header(header.NESTING_BLOCK, options, "10.0", BASE_URL, NOW)
    assert nesting.count("/*") == 1
    replayed = nesting.partition("IncludeTypes: ")[2].splitlines()[0]
    assert read_options({}, [("IncludeTypes", replayed)]).names("IncludeTypes") == ("My.Types/*",)


@given(st.sampled_from(sorted(LANGUAGES)), st.lists(st.tuples(st.sampled_from(NAMES), st.text()), max_size=5))
def test_no_query_adds_a_line_to_a_header_or_leaves_it(key, query):
    plain, asked = lines(key), lines(key, *query)
    assert len(asked) == len(plain)
    closing = LANGUAGES[key].header.closing
    for closer in closing:
        assert sum(closer in line for line in asked) == sum(closer in line for line in plain)


@given(st.text(max_size=60))
def test_lists_are_read_from_any_text_without_blanks(text):
    for entry in read_options({}, [("IncludeTypes", text)]).names("IncludeTypes"):
        assert entry
        assert " " not in entry


def test_flags_are_read_as_people_write_them():
    for text, held in (("true", True), ("True", True), ("1", True), ("false", False), ("0", False)):
        assert read_options({}, [("makepropertiesoptional", text)]).on("MakePropertiesOptional") is held
    assert not defaults_of({}).on("MakePropertiesOptional")


def test_a_comma_inside_braces_belongs_to_its_entry():
    options = read_options({}, [("IncludeTypes", "{a, b},C")])
    assert options.names("IncludeTypes") == ("{a,b}", "C")
