"""C# classes: compiled by mcs against stubs, and parsed by a grammar where mcs is too old for what they say."""

import pytest

from tests.metadata import tools
from tests.metadata.grammar import must_parse
from tests.metadata.served import save_pages, save_types, types_text

STUBS = """
using System;
using System.Collections.Generic;
namespace ServiceStack {
    public interface IReturn {}
    public interface IReturn<T> : IReturn {}
    public interface IReturnVoid : IReturn {}
    public class ResponseError {}
    public class ResponseStatus { public List<ResponseError> Errors { get; set; } }
    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public class RouteAttribute : Attribute { public RouteAttribute(string path, string verbs) {} }
    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public class ApiResponseAttribute : Attribute {
        public string Description { get; set; }
        public int StatusCode { get; set; }
    }
    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public class ValidateRequestAttribute : Attribute { public ValidateRequestAttribute(string validator) {} }
    [AttributeUsage(AttributeTargets.Property)]
    public class ApiMemberAttribute : Attribute {
        public string DataType { get; set; }
        public string Description { get; set; }
        public bool IsRequired { get; set; }
        public string ParameterType { get; set; }
    }
}
namespace ServiceStack.DataAnnotations { }
"""
CALLER = """
using System;
using BokaMera.API.ServiceModel.Dtos;
static class Caller {
    static void Ask(ServiceStack.IReturn<AiChatUsageResponse> request) {}
    static void Main() {
        Ask(new GetAiChatUsage { %(company)s = Guid.Empty });
        ICompany request = new RecordAiChatUsage { %(tokens)s = 3L };
        request.%(company)s = null;
    }
}
"""
SERIALIZATION = """
using System;
namespace System.Runtime.Serialization {
    public class ExtensionDataObject {}
    public interface IExtensibleDataObject { ExtensionDataObject ExtensionData { get; set; } }
    [AttributeUsage(AttributeTargets.Class)]
    public class DataContractAttribute : Attribute {}
    [AttributeUsage(AttributeTargets.Property)]
    public class DataMemberAttribute : Attribute { public int Order { get; set; } }
    [AttributeUsage(AttributeTargets.Assembly)]
    public class ContractNamespaceAttribute : Attribute {
        public ContractNamespaceAttribute(string address) {}
        public string ClrNamespace { get; set; }
    }
}
"""
TOLD = """
static class Told {
    static void Main() {
        if (new GetAiChatUsage().version != 7) throw new Exception("version");
        var order = typeof(GetAiChatUsage).GetProperty("companyId").GetCustomAttributes(false)[0];
        if (((System.Runtime.Serialization.DataMemberAttribute)order).Order != 2) throw new Exception("order");
    }
}
"""
ALL_ATTRIBUTES = (
    *(("AddDataContractAttributes", "True"), ("AddIndexesToDataMembers", "True"), ("AddImplicitVersion", "7")),
    *(("AddGeneratedCodeAttributes", "True"), ("MakeDataContractsExtensible", "True")),
    ("AddDefaultXmlNamespace", "http://example.org/types"),
)
NAMES = {
    "camel": {"company": "companyId", "tokens": "tokensUsed"},
    "pascal": {"company": "CompanyId", "tokens": "TokensUsed"},
}
UNKNOWN_TO_MCS = (("InitializeCollections", "False"), ("AddNullableAnnotations", "False"))
"""`= []` came with C# 12 and `string?` with C# 8."""


@pytest.mark.parametrize("case", NAMES)
def test_the_classes_compile(tmp_path, case):
    (tmp_path / "dtos.cs").write_text(types_text("csharp", case, *UNKNOWN_TO_MCS))
    (tmp_path / "stubs.cs").write_text(STUBS)
    (tmp_path / "caller.cs").write_text(CALLER % NAMES[case])
    tools.run(tools.program("mcs"), "dtos.cs", "stubs.cs", "caller.cs", "-out:caller.exe", cwd=tmp_path)


def test_the_classes_compile_with_all_that_dot_net_can_be_told(tmp_path):
    (tmp_path / "dtos.cs").write_text(types_text("csharp", "camel", *UNKNOWN_TO_MCS, *ALL_ATTRIBUTES))
    (tmp_path / "stubs.cs").write_text(STUBS)
    (tmp_path / "serialization.cs").write_text(SERIALIZATION)
    (tmp_path / "caller.cs").write_text(CALLER % NAMES["camel"] + TOLD)
    files = ("dtos.cs", "stubs.cs", "serialization.cs", "caller.cs")
    tools.run(tools.program("mcs"), *files, "-main:Told", "-out:caller.exe", cwd=tmp_path)
    tools.run(tools.program("mono"), "caller.exe", cwd=tmp_path)


@pytest.mark.parametrize("case", NAMES)
def test_the_classes_as_served_by_default_parse(tmp_path, case):
    must_parse("csharp", save_types(tmp_path, "dtos.cs", "csharp", case))


def test_the_classes_of_every_page_parse(tmp_path):
    must_parse("csharp", *save_pages(tmp_path, "cs", "csharp"))


def test_options_change_the_classes():
    assert "internal class GetAiChatUsage" in types_text(
        "csharp", "camel", ("MakeInternal", "true"), ("MakePartial", "false")
    )
    assert "virtual" not in types_text("csharp", "camel", ("MakeVirtual", "false")).partition("*/")[2]
    assert "namespace My.Own" in types_text("csharp", "camel", ("GlobalNamespace", "My.Own"))
    assert "using My.Types;" in types_text("csharp", "camel", ("AddNamespaces", "My.Types"))
    assert "string? reason" in types_text("csharp")
    assert "List<string> roles { get; set; } = [];" in types_text("csharp")
