"""Rust structs: compiled by rustc against stubs of serde's derives, which take any struct and give it nothing."""

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_texts
from tests.metadata.served import types_text

SERDE = """
extern crate proc_macro;
#[proc_macro_derive(Serialize, attributes(serde))]
pub fn serialize(_: proc_macro::TokenStream) -> proc_macro::TokenStream { Default::default() }
#[proc_macro_derive(Deserialize, attributes(serde))]
pub fn deserialize(_: proc_macro::TokenStream) -> proc_macro::TokenStream { Default::default() }
"""
CLIENT = """
pub trait IReturn { type Response; fn type_name(&self) -> &'static str; fn method(&self) -> &'static str; }
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseStatus {}
"""
USE = """
pub fn ask<R: IReturn>(request: R) -> R::Response where R::Response: Default {
    assert_eq!(request.type_name(), "GetAiChatUsage");
    Default::default()
}
pub fn used() -> i64 {
    let reply: AiChatUsageResponse = ask(GetAiChatUsage { company_id: Some("c".to_string()) });
    let keys: Vec<ApiKeyInfo> = ApiKeyQueryResponse::default().results;
    assert!(keys.is_empty() && reply.response_status.is_none());
    reply.tokens_used
}
"""
ODD_USE = """
pub fn used(taken: TakenMembers, reply: OddReply) -> Option<std::string::String> {
    let _: std::vec::Vec<List> = reply.nesteds;
    let _: std::option::Option<Vec_> = reply.of_vec;
    VoidRequest {}.method();
    taken.r#type.or(taken.self_).or(taken.r#fn).or(taken.class_)
}
"""


def compiled(folder, text, use="", client=False):
    (folder / "serde.rs").write_text(SERDE)
    (folder / "servicestack.rs").write_text(CLIENT)
    (folder / "dtos.rs").write_text(text + use, encoding="utf-8")
    rustc = (tools.program("rustc"), "--edition", "2021", "--out-dir", ".")
    tools.run(*rustc, "--crate-type", "proc-macro", "serde.rs", cwd=folder)
    (library,) = folder.glob("libserde.*")
    known = ["--extern", f"serde={library}"]
    if client:
        tools.run(*rustc, "--crate-type", "rlib", "servicestack.rs", cwd=folder)
        known += ["--extern", "servicestack=libservicestack.rlib"]
    strict = ("--emit=metadata", "--crate-type", "lib", "-D", "warnings", *known)
    tools.run(*rustc, *strict, "dtos.rs", cwd=folder)


def test_the_structs_compile(tmp_path):
    compiled(tmp_path, types_text("rust"), USE)


def test_the_casing_of_the_original_changes_wire_names_alone(tmp_path):
    text = types_text("rust", "pascal")
    assert '#[serde(rename = "TokensUsed")]\n    pub tokens_used: i64,' in text
    compiled(tmp_path, text, USE)


def test_without_types_of_its_own_the_file_takes_those_of_the_client(tmp_path):
    text = types_text("rust", "camel", ("AddServiceStackTypes", "False"))
    assert "trait IReturn" not in text
    compiled(tmp_path, text, USE, client=True)


@pytest.mark.parametrize("options", ["plain", "required"])
def test_what_is_odd_compiles_and_keeps_its_names(tmp_path, options):
    compiled(tmp_path, odd_texts("rust")[options], ODD_USE)


def test_what_is_odd_compiles_without_markers(tmp_path):
    compiled(tmp_path, odd_texts("rust")["bare"])


@pytest.mark.parametrize(
    "line",
    [
        '    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]',
        "    pub r#type: Option<String>,",
        '    fn type_name(&self) -> &\'static str { "OddRequest" }',
        "pub struct Option_ {",
    ],
)
def test_names_that_rust_has_taken(line):
    assert line in odd_texts("rust")["plain"].splitlines()
