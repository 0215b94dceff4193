"""Zig structs: compiled by the Zig that comes from PyPI, and read and written by its standard library."""

import re

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_texts
from tests.metadata.served import types_text

USE = """
test "a reply is read and a request says what it is" {
    const text =
        \\\\{"companyId":"c","tokensUsed":7,"responseStatus":{"errorCode":"E","meta":{"a":"b"}},"unknown":[]}
    ;
    const options: std.json.ParseOptions = .{ .ignore_unknown_fields = true };
    const request = GetAiChatUsage{ .companyId = "c" };
    const parsed = try std.json.parseFromSlice(@TypeOf(request).Response, std.testing.allocator, text, options);
    defer parsed.deinit();
    try std.testing.expectEqual(7, parsed.value.tokensUsed);
    try std.testing.expectEqualStrings("b", parsed.value.responseStatus.?.meta.?.map.get("a").?);
    try std.testing.expectEqualStrings("GetAiChatUsage", request.getTypeName());
    try std.testing.expectEqualStrings("GET", request.getMethod());
    try std.testing.expectEqual(0, (ApiKeyInfo{}).roles.len);
}
"""
ODD_USE = """
test "names that Zig has taken are those of the wire" {
    const text =
        \\\\{"if":"e","type":"t","fn":"f"}
    ;
    const parsed = try std.json.parseFromSlice(TakenMembers, std.testing.allocator, text, .{});
    defer parsed.deinit();
    try std.testing.expectEqualStrings("f", parsed.value.@"fn".?);
    const reply = OddReply{};
    try std.testing.expectEqual(0, reply.nesteds.len + reply.map.map.count());
    try std.testing.expectEqual(void, VoidRequest.Response);
}
"""
CLIENT = "pub const ResponseStatus = struct {};\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What is compiled once is compiled for all tests here: the standard library takes longer than the structs."""
    return tmp_path_factory.mktemp("zig")


def every_struct(text):
    """Zig looks at nothing that is not used."""
    lines = [f"    _ = {name}{{}};\n" for name in re.findall(r"^pub const (\w+) = struct", text, re.MULTILINE)]
    return f'test "every struct is sound" {{\n{"".join(lines)}}}\n'


def compiled(folder, cache, text, *modules, use=""):
    """`use`: a test that is run as well. Without one the compiler looks at everything and makes no program of it."""
    (folder / "dtos.zig").write_text(text + every_struct(text) + use, encoding="utf-8")
    how = ("--cache-dir", cache, "--global-cache-dir", cache, *([] if use else ["-fno-emit-bin", "--test-no-exec"]))
    tools.run(tools.program("python-zig"), "test", *(modules or ["dtos.zig"]), *how, cwd=folder)


def test_the_structs_work(tmp_path, cache):
    compiled(tmp_path, cache, types_text("zig"), use=USE)


@pytest.mark.parametrize(
    "query", [("MakePropertiesOptional", "True"), ("AddReturnMarker", "False"), ("AddImplicitVersion", "7")]
)
def test_options_compile(tmp_path, cache, query):
    compiled(tmp_path, cache, types_text("zig", "pascal", query))


@pytest.mark.parametrize("options", ["plain", "bare"])
def test_what_is_odd_compiles_and_keeps_its_names(tmp_path, cache, options):
    use = ODD_USE if options == "plain" else ""
    compiled(tmp_path, cache, odd_texts("zig")[options], use=use)


def test_the_types_of_the_client_can_be_used_instead(tmp_path, cache):
    (tmp_path / "servicestack.zig").write_text(CLIENT)
    modules = ("--dep", "servicestack", "-Mroot=dtos.zig", "-Mservicestack=servicestack.zig")
    compiled(tmp_path, cache, types_text("zig", "camel", ("AddServiceStackTypes", "False")), *modules)


def test_a_planted_fault_is_found(tmp_path, cache):
    with pytest.raises(AssertionError, match="use of undeclared identifier"):
        compiled(tmp_path, cache, types_text("zig").replace("ResponseStatus = struct", "Status = struct"))


def test_the_header_reads_as_its_tools_read_it():
    head = types_text("zig", "camel", ("IncludeTypes", "GetAiChatUsage.*")).partition("\n\n")[0].splitlines()
    assert head[0] == "/// Options:"
    assert [line for line in head if not line.startswith("/// ")] == ["//IncludeTypes: GetAiChatUsage.*"]
