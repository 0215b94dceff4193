"""F# classes, parsed by a grammar: Debian has no F# compiler."""

import pytest

from tests.metadata.grammar import must_parse
from tests.metadata.served import save_pages, save_types, types_text


@pytest.mark.parametrize("case", ["camel", "pascal"])
def test_the_classes_parse(tmp_path, case):
    must_parse("fsharp", save_types(tmp_path, "dtos.fs", "fsharp", case))


@pytest.mark.parametrize("without_namespace", ["True", "False"])
def test_the_classes_parse_with_all_that_dot_net_can_be_told(tmp_path, without_namespace):
    flags = ("DataContractAttributes", "GeneratedCodeAttributes", "IndexesToDataMembers")
    query = [(f"Add{flag}", "True") for flag in flags]
    query += [("MakeDataContractsExtensible", "True"), ("AddDefaultXmlNamespace", "http://example.org/types")]
    query += [("AddImplicitVersion", "7"), ("ExcludeNamespace", without_namespace)]
    (tmp_path / "dtos.fs").write_text(types_text("fsharp", "camel", *query))
    must_parse("fsharp", tmp_path / "dtos.fs")


def test_the_classes_of_every_page_parse(tmp_path):
    must_parse("fsharp", *save_pages(tmp_path, "fs", "fsharp"))


def test_a_planted_fault_is_found(tmp_path):
    path = save_types(tmp_path, "dtos.fs", "fsharp")
    path.write_text(path.read_text().replace("with get,set", "with get,", 1))
    with pytest.raises(AssertionError, match="line "):
        must_parse("fsharp", path)


def test_a_type_comes_after_those_that_it_names():
    """F# reads a file from top to bottom."""
    lines = types_text("fsharp").splitlines()
    declared: set[str] = set()
    for line in lines:
        if line.strip().startswith("type "):
            declared.add(line.split()[1].removesuffix("()"))
        elif "interface IReturn<" in line:
            assert line.split("<")[1].rstrip(">") in declared
