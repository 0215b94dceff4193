"""Kotlin classes: compiled by kotlinc against stubs of the client's public surface, and parsed by a grammar.

Kotlin is one call of a slow compiler, so all files go to it at once, a package each.
"""

from tests.metadata import tools
from tests.metadata.grammar import must_parse
from tests.metadata.languages.odd import odd_page, odd_texts
from tests.metadata.served import page_texts, types_text

STUBS = """
package net.servicestack.client
annotation class ApiMember(val DataType: String = "", val Description: String = "", val IsRequired: Boolean = false,
    val ParameterType: String = "")
annotation class ApiResponse(val Description: String = "", val StatusCode: Int = 0)
annotation class Route(val Path: String = "", val Verbs: String = "")
annotation class ValidateRequest(val Validator: String = "")
interface IReturn<T> { fun getResponseType(): Any? }
interface IReturnVoid
class ResponseStatus
"""
GSON = "package com.google.gson.annotations\nannotation class SerializedName(val value: String)\n"
CALLER = """
package caller
import java.util.*
fun ask(request: net.servicestack.client.IReturn<camel.AiChatUsageResponse>) = request.getResponseType()
fun used() {
    val request = camel.GetAiChatUsage()
    val company: camel.ICompany = request
    company.companyId = UUID(1, 2)
    ask(request)
    val key = camel.ApiKeyInfo()
    key.createdAt = Date()
    camel.ApiKeyQueryResponse().results = arrayListOf(key)
    val wire: String? = odd.TakenMembers().`when`
    val date: Date? = odd.OddReply().at
}
"""
ICOMPANY = "interface ICompany\n{\n    var companyId:java.util.UUID?\n}\n"


def packaged(name, text):
    return f"package {name}\n{text}"


def files():
    yield from {"Stubs.kt": STUBS, "Gson.kt": GSON, "Caller.kt": CALLER}.items()
    for case in ("camel", "pascal"):
        yield f"{case}.kt", packaged(case, types_text("kotlin", case))
    yield "option.kt", types_text("kotlin", "camel", ("Package", "my.dtos"))
    yield "version.kt", types_text("kotlin", "camel", ("Package", "versioned"), ("AddImplicitVersion", "7"))
    yield "odd.kt", packaged("odd", odd_texts("kotlin")["plain"])
    yield "bare.kt", packaged("bare", odd_texts("kotlin")["bare"])
    for position, text in enumerate([*page_texts("kotlin"), odd_page("kotlin")]):
        yield f"page{position}.kt", packaged(f"page{position}", text + ICOMPANY)


def saved(folder):
    for name, text in files():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name, _ in files()]


def test_all_classes_compile(tmp_path):
    tools.run(tools.program("kotlinc"), "-d", "out", *saved(tmp_path), cwd=tmp_path)


def test_all_classes_parse(tmp_path):
    must_parse("kotlin", *saved(tmp_path))


def test_a_dollar_sign_begins_no_template():
    text = odd_texts("kotlin")["plain"]
    assert r"\$d \${x}" in text
    assert "/odd/{Name}/\\$x/" in text
