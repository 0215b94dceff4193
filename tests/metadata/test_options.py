"""Every option that a header offers acts, and what it makes is still of its language."""

import pytest

from kvot.contract import ROUTES
from kvot.contract.describe import Operation, Request, Response, Route
from kvot.metadata.languages import LANGUAGES
from kvot.metadata.model import model_of
from kvot.metadata.options import COMMON, ORDER, read_options
from kvot.metadata.types import types_source
from tests.metadata.golden import BASE_URL, NOW


class BareReply(Response):
    count: int


class BareRequest(Request):
    pass


BARE = Operation(BareRequest, BareReply, (Route("GET", "/bare", "s"),), None)
MODEL = model_of((*ROUTES, BARE))
VALUES = {
    "BaseUrl": "https://elsewhere.example",
    "AddImplicitVersion": "7",
    "AddDefaultXmlNamespace": "http://example.org/types",
    "GlobalNamespace": "Mine",
    "BaseClass": "Mine",
    "Package": "mine",
    "DataClass": "@dataclass(frozen=True)",
    "DataClassJson": "@mine.decorated",
    "AddNamespaces": "My.More",
    "DefaultNamespaces": "My.Only",
    "DefaultImports": "mine:Name",
    "IncludeTypes": "GetAiChatUsage.*",
    "ExcludeTypes": "GetAiChatUsage",
    "TreatTypesAsStrings": "Int64",
}
NEEDS = dict.fromkeys(("AddIndexesToDataMembers", "AddDefaultXmlNamespace"), ("AddDataContractAttributes", "True"))
"""What is said of a data contract is said where there is one."""

NOTHING_TO_SAY = {
    *(("MakePropertiesOptional", key) for key in ("java", "kotlin", "ruby")),  # any member may be null there
    ("AddDescriptionAsComments", "js"),  # it has no member to stand before
    *(("TreatTypesAsStrings", "js"), ("AddResponseStatus", "js")),  # nor types
    ("BaseUrl", "all"),  # the header alone
}


def offered(key):
    return {**COMMON, **LANGUAGES[key].options}


def written(key, *query, model=MODEL):
    return types_source(key, model, [("WithoutOptions", ""), *query], BASE_URL, NOW)


def other(name, default):
    return VALUES.get(name) or {"True": "False", "False": "True"}[default]


@pytest.mark.parametrize(
    ("key", "name"),
    [(key, name) for key in LANGUAGES for name in offered(key) if not {(name, key), (name, "all")} & NOTHING_TO_SAY],
)
def test_an_option_that_is_offered_acts(key, name):
    before = [NEEDS[name]] if name in NEEDS else []
    assert written(key, *before, (name, other(name, offered(key)[name]))) != written(key, *before)


def test_an_option_that_is_not_offered_does_nothing():
    for key in LANGUAGES:
        silent = [(name, other(name, "False")) for name in ORDER if name not in offered(key)]
        assert written(key, *silent) == written(key)


VERSIONED = {
    "csharp": "public virtual int version { get; set; } = 7;",
    "vbnet": "Public Overridable Property version As Integer = 7",
    "fsharp": "member val version:Int32 = 7 with get,set",
    "typescript": "public version: number = 7;",
    "mjs": "version = 7;",
    "js": "this.version = 7;",
    "dart": "int version = 7;",
    "java": "public Integer version = 7;",
    "kotlin": "open var version:Int? = 7",
    "python": "version: int = 7",
    "php": "public int $version=7",
    "swift": "public var version:Int = 7",
    "zig": "version: i32 = 7,",
}


@pytest.mark.parametrize("key", [key for key in LANGUAGES if "AddImplicitVersion" in offered(key)])
def test_a_version_stands_in_every_request_and_in_nothing_else(key):
    assert written(key, ("AddImplicitVersion", "7")).count(VERSIONED[key]) == sum(dto.is_request for dto in MODEL.dtos)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.0", "7;", "1" * 10])
def test_a_version_is_a_number(value):
    assert "AddImplicitVersion" not in read_options({"AddImplicitVersion": ""}, [("AddImplicitVersion", value)]).given


@pytest.mark.parametrize("value", ["dataclass", "@os.system('x')", "@a(b())", "@a(b)(c)", "@a(b=[x])", "@a\nimport os"])
def test_a_decorator_calls_nothing_else(value):
    assert not read_options({"DataClass": "@dataclass"}, [("DataClass", value)]).given


def test_a_status_is_added_to_replies_that_lack_one():
    classes = written("typescript", ("AddResponseStatus", "True")).split("export class ")
    bare = next(each for each in classes if each.startswith("BareReply"))
    assert "public responseStatus: ResponseStatus;" in bare
    assert all(each.count("responseStatus") < 2 for each in classes)


DOTNET = [
    *(("AddDataContractAttributes", "True"), ("AddIndexesToDataMembers", "True"), ("AddImplicitVersion", "7")),
    *(("AddGeneratedCodeAttributes", "True"), ("MakeDataContractsExtensible", "True"), ("AddResponseStatus", "True")),
    ("AddDefaultXmlNamespace", "http://example.org/types"),
]


@pytest.mark.parametrize(
    "line",
    [
        "using System.CodeDom.Compiler;",
        '[assembly: ContractNamespace("http://example.org/types", ClrNamespace="BokaMera.API.ServiceModel.Dtos")]',
        '    [GeneratedCode("AddServiceStackReference", "10.0")]',
        "    [DataContract]",
        "        [DataMember(Order=2)]",
        "        public virtual ExtensionDataObject ExtensionData { get; set; }",
        "        : IReturn<AiChatUsageResponse>, ICompany, IExtensibleDataObject",
    ],
)
def test_what_dot_net_is_told(line):
    assert line in written("csharp", *DOTNET).splitlines()


def test_without_a_namespace_types_stand_at_the_left():
    assert "\npublic partial class GetAiChatUsage\n" in written("csharp", ("ExcludeNamespace", "True"))
    assert "\nPublic Partial Class GetAiChatUsage\n" in written("vbnet", ("ExcludeNamespace", "True"))
    assert "\ntype GetAiChatUsage() = \n" in written("fsharp", ("ExcludeNamespace", "True"))


def test_imports_are_those_that_are_asked_for():
    query = ("DefaultImports", "@servicestack/client:JsonServiceClient/IGet, ./own:Mine")
    head = written("typescript", query).partition("export")[0].splitlines()
    assert 'import { JsonServiceClient, IGet } from "@servicestack/client";' in head
    assert 'import { Mine } from "./own";' in head
    assert "import 'package:mine/mine.dart';" in written("dart", ("DefaultImports", "package:mine/mine.dart"))
    assert "import Mine\n" in written("swift", ("DefaultImports", "Mine"))


def test_both_kinds_of_request_are_declared_whatever_is_used():
    for key in ("typescript", "typescript.d"):
        for query in ([], [("IncludeTypes", "GetAiChatUsage")], [("AddReturnMarker", "False")]):
            head = written(key, *query).partition("AiChat")[0]
            assert "interface IReturn<T>" in head
            assert "interface IReturnVoid" in head
        assert "IReturnVoid" not in written(key, ("AddServiceStackTypes", "False"))


def test_a_base_class_of_swift_is_coded_together_with_its_members():
    text = written("swift", ("BaseClass", "Mine"), ("MakePropertiesOptional", "False"))
    assert "public class GetAiChatUsage : Mine, IReturn, ICompany\n" in text
    assert "tokensUsed = try container.decodeIfPresent(Int.self, forKey: .tokensUsed) ?? tokensUsed" in text
    assert "try container.encodeIfPresent(companyId, forKey: .companyId)" in text
