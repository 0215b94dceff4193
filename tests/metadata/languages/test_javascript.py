"""JavaScript modules and CommonJS, run by Node."""

import pytest

from tests.metadata import tools
from tests.metadata.served import page_texts, save_types, types_text

USE = """
const assert = (held, what) => { if (!held) throw new Error(what) };
const request = new dtos.GetAiChatUsage({ companyId: "c" });
assert(JSON.stringify(request) === '{"companyId":"c"}', JSON.stringify(request));
assert(request.getTypeName() === "GetAiChatUsage" && request.getMethod() === "GET", "operation");
assert(request.createResponse() instanceof dtos.AiChatUsageResponse, "response");
assert(new dtos.RevokeApiKey({ id: "k" }).getMethod() === "DELETE", "verb");
assert(Array.isArray(new dtos.ApiKeyInfo().roles) && new dtos.CreateApiKey().roles === undefined, "lists");
assert(new dtos.ResponseStatus({ errors: [new dtos.ResponseError()] }).errors.length === 1, "status");
"""


def test_modules_run(tmp_path):
    save_types(tmp_path, "dtos.mjs", "mjs")
    (tmp_path / "check.mjs").write_text(f'import * as dtos from "./dtos.mjs";\n{USE}')
    tools.run(tools.program("node"), "check.mjs", cwd=tmp_path)


def test_commonjs_runs(tmp_path):
    save_types(tmp_path, "dtos.js", "js")
    (tmp_path / "check.js").write_text(f'const dtos = require("./dtos.js");\n{USE}')
    tools.run(tools.program("node"), "check.js", cwd=tmp_path)


def test_a_version_is_sent_and_docs_can_be_left_out(tmp_path):
    text = types_text("mjs", "camel", ("AddImplicitVersion", "7"), ("AddDocAnnotations", "False"))
    assert "/**" not in text.partition("*/")[2]
    (tmp_path / "dtos.mjs").write_text(text)
    (tmp_path / "dtos.js").write_text(types_text("js", "camel", ("AddImplicitVersion", "7")))
    (tmp_path / "check.mjs").write_text(
        'import * as modern from "./dtos.mjs"; import old from "./dtos.js";\n'
        'const sent = [modern, old].map(dtos => JSON.stringify(new dtos.GetAiChatUsage({ companyId: "c" })));\n'
        'if (sent.some(text => text !== \'{"version":7,"companyId":"c"}\')) throw new Error(sent);\n'
    )
    tools.run(tools.program("node"), "check.mjs", cwd=tmp_path)


@pytest.mark.parametrize(("name", "key"), [("dtos.mjs", "mjs"), ("dtos.js", "js")])
def test_the_casing_of_the_original_runs_too(tmp_path, name, key):
    save_types(tmp_path, name, key, "pascal")
    tools.run(tools.program("node"), name, cwd=tmp_path)


def test_the_classes_of_every_page_run(tmp_path):
    """ResponseStatus is named in comments alone, so nothing need be declared beside them."""
    for position, text in enumerate(page_texts("mjs")):
        (tmp_path / f"page{position}.mjs").write_text(text)
    imports = "".join(f'import "./page{position}.mjs";\n' for position in range(len(page_texts("mjs"))))
    (tmp_path / "check.mjs").write_text(imports)
    tools.run(tools.program("node"), "check.mjs", cwd=tmp_path)


def test_jsdoc_types_are_what_typescript_reads(tmp_path):
    save_types(tmp_path, "dtos.mjs", "mjs")
    (tmp_path / "caller.mjs").write_text(
        "// @ts-check\n"
        'import { GetAiChatUsage } from "./dtos.mjs";\n'
        'new GetAiChatUsage({ companyId: "c" });\n'
        "// @ts-expect-error: a number is not a company\n"
        "new GetAiChatUsage({ companyId: 1 });\n"
    )
    flags = ("--strict", "--noEmit", "--allowJs", "--module", "nodenext", "--target", "es2022", "--types", "")
    tools.run(tools.program("tsc"), *flags, "caller.mjs", cwd=tmp_path)
