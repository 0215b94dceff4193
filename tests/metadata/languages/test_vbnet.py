"""VB.NET classes. No compiler or sound grammar of it installs here, so only what can be told from lines is checked."""

import re

import pytest

from tests.metadata.served import page_texts, types_text

OPENS = re.compile(r"(?:(?:Public|Friend) )?(?:Partial )?(Class|Interface|Namespace) \w")
ALL_ATTRIBUTES = (
    *(("AddDataContractAttributes", "True"), ("AddIndexesToDataMembers", "True"), ("AddImplicitVersion", "7")),
    *(("AddGeneratedCodeAttributes", "True"), ("MakeDataContractsExtensible", "True"), ("ExcludeNamespace", "True")),
    ("AddDefaultXmlNamespace", "http://example.org/types"),
)
TEXTS = [
    types_text("vbnet", "camel"),
    types_text("vbnet", "pascal"),
    types_text("vbnet", "camel", *ALL_ATTRIBUTES),
    *page_texts("vbnet"),
]


def code(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("'")]


@pytest.mark.parametrize("text", TEXTS)
def test_every_block_ends_where_it_should(text):
    blocks = []
    for line in code(text):
        if opened := OPENS.match(line):
            blocks.append(opened[1])
        elif line.startswith("End "):
            assert blocks.pop() == line.removeprefix("End ")
    assert blocks == []


@pytest.mark.parametrize("text", TEXTS)
def test_every_line_is_one_that_the_language_knows(text):
    name = r"\[?\w+\]?"
    type_name = r"(?:New )?[\w.]+(?:\(Of \w+(?:, \w+)?\))?\??"
    argument = r'\w+:=(?:"(?:[^"]|"")*"|\d+|true)'
    known = re.compile(
        rf"Imports [\w.]+|Namespace [\w.]+|End \w+|Implements {type_name}|(?:\w+ )?(?:\w+ )?(?:Class|Interface) {name}"
        rf"|(?:Public (?:Overridable )?)?Property {name} As {type_name}(?: = \d+)?(?: Implements \w+\.{name})?"
        rf'|<\w+\({argument}(?:, {argument})*\)>|<(?:Route|GeneratedCode)\("[^"]*", "[A-Z0-9.]+"\)>|<DataContract>'
        rf'|<Assembly: ContractNamespace\("[^"]*", {argument}\)>'
    )
    assert [line for line in code(text) if not known.fullmatch(line)] == []


def test_a_member_says_which_of_the_interface_it_is():
    assert "companyId As Guid? Implements ICompany.companyId" in types_text("vbnet")
