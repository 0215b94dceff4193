"""Java classes: compiled by javac against stubs of the client's public surface, and run."""

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_page, odd_texts
from tests.metadata.served import page_texts, types_text

ANNOTATIONS = {
    "ApiMember": 'String DataType() default ""; String Description() default ""; boolean IsRequired() default false; '
    'String ParameterType() default "";',
    "ApiResponse": 'String Description() default ""; int StatusCode() default 0;',
    "Route": 'String Path() default ""; String Verbs() default "";',
    "ValidateRequest": 'String Validator() default "";',
}
RUNTIME = "@java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME)"
TYPES = {
    **{name: f"{RUNTIME} public @interface {name} {{ {members} }}" for name, members in ANNOTATIONS.items()},
    "IReturn": "public interface IReturn<T> { Object getResponseType(); }",
    "IReturnVoid": "public interface IReturnVoid {}",
    "ResponseStatus": "public class ResponseStatus {}",
}
GSON = f"package com.google.gson.annotations;\n{RUNTIME} public @interface SerializedName {{ String value(); }}"
STUBS = {
    "com/google/gson/annotations/SerializedName.java": GSON,
    **{
        f"net/servicestack/client/{name}.java": f"package net.servicestack.client;\n{text}"
        for name, text in TYPES.items()
    },
}
CALLER = """
import java.util.*;
import net.servicestack.client.*;
class Caller {
    static <T> Object ask(IReturn<T> request) { return request.getResponseType(); }
    static void check(boolean held) { if (!held) throw new AssertionError(); }
    public static void main(String[] args) {
        dtos.GetAiChatUsage request = new dtos.GetAiChatUsage().setCompanyId(new UUID(1, 2));
        dtos.ICompany company = request;
        check(company.getCompanyId().equals(new UUID(1, 2)));
        check(ask(request) == dtos.AiChatUsageResponse.class);
        check(new dtos.RecordAiChatUsage().setTokensUsed(3L).getTokensUsed() == 3L);
        check(new dtos.ApiKeyQueryResponse().setResults(new ArrayList<dtos.ApiKeyInfo>()).getResults().isEmpty());
        check(dtos.GetAiChatUsage.class.getAnnotation(Route.class).Path().equals("/assistant/ai-chat/usage"));
    }
}
"""
ODD_CALLER = """
import net.servicestack.client.*;
class Caller {
    public static void main(String[] args) throws Exception {
        String said = dtos.OddRequest.class.getField("name").getAnnotation(ApiMember.class).Description();
        for (String part : new String[] {"*/ /* opens", "\\\\u002a\\\\u002f", "\\r\\n=end\\n", "ends with \\\\"})
            if (!said.contains(part)) throw new AssertionError(said);
        String wire = dtos.TakenMembers.class.getField("class_")
            .getAnnotation(com.google.gson.annotations.SerializedName.class).value();
        if (!wire.equals("class")) throw new AssertionError(wire);
        Class<?> text = dtos.OddReply.class.getField("at").getType();
        if (text != java.util.Date.class) throw new AssertionError(text);
    }
}
"""


def compiled(folder, text, caller="", **others):
    files = {**STUBS, "dtos.java": text, **others, **({"Caller.java": caller} if caller else {})}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    tools.run(tools.program("javac"), "-encoding", "UTF-8", "-d", "out", *files, cwd=folder)
    if caller:
        tools.run(tools.program("java"), "-cp", "out", "Caller", cwd=folder)


def test_the_classes_compile_and_work(tmp_path):
    compiled(tmp_path, types_text("java"), CALLER)


@pytest.mark.parametrize(
    "query",
    [
        [("AddPropertyAccessors", "False")],
        [("SettersReturnThis", "False"), ("Package", "my.dtos")],
        [("AddReturnMarker", "False"), ("AddDescriptionAsComments", "False")],
        [("AddImplicitVersion", "7"), ("DefaultImports", "java.util.*,net.servicestack.client.*")],
    ],
)
def test_options_compile(tmp_path, query):
    compiled(tmp_path, types_text("java", "camel", *query))


def test_the_casing_of_the_original_compiles(tmp_path):
    compiled(tmp_path, types_text("java", "pascal"))


def test_the_classes_of_every_page_compile_beside_what_they_name(tmp_path):
    company = "public interface ICompany { java.util.UUID getCompanyId(); Object setCompanyId(java.util.UUID value); }"
    pages = {
        f"p{position}/dtos.java": f"package p{position};\n{text}".replace("\n{\n", f"\n{{\n{company}\n", 1)
        for position, text in enumerate(page_texts("java"))
    }
    compiled(tmp_path, types_text("java"), **pages)


@pytest.mark.parametrize("options", ["plain", "bare"])
def test_what_is_odd_compiles_and_keeps_its_names(tmp_path, options):
    compiled(tmp_path, odd_texts("java")[options], ODD_CALLER)


def test_an_odd_page_compiles(tmp_path):
    company = "public interface ICompany {}"
    compiled(tmp_path, odd_page("java").replace("\n{\n", f"\n{{\n{company}\n", 1))


def test_accessors_stand_after_a_line_of_eight_blanks():
    assert "\n        \n        public UUID getCompanyId()" in page_texts("java")[0]
