"""TypeScript classes and declarations, under tsc --strict and with the official client."""

import json

import pytest

from tests.metadata import tools
from tests.metadata.served import page_texts, save_types, types_text

CALLER = """
import {{ JsonServiceClient }} from "@servicestack/client";
import {{ GetAiChatUsage, AiChatUsageResponse, ICompany }} from "./dtos";
import {{ ImportAiChatUsage, AiChatUsageEvent, RevokeApiKey }} from "./dtos";

export async function used(client: JsonServiceClient): Promise<number> {{
    const request: ICompany = new GetAiChatUsage({{ {company}: "c" }});
    const reply: AiChatUsageResponse = await client.get(new GetAiChatUsage(request));
    const events = [new AiChatUsageEvent({{ {tokens}: -5 }})];
    const imported = await client.api(new ImportAiChatUsage({{ {events}: events }}));
    const refused: number = imported.response?.{refused} ?? 0;
    const revoked: string = (await client.delete(new RevokeApiKey({{ {id}: "k" }}))).{id};
    // @ts-expect-error: a number is not a company
    new GetAiChatUsage({{ {company}: 1 }});
    return reply.{used} + refused + revoked.length;
}}
"""
NAMES = ("company", "tokens", "events", "refused", "id", "used")
CAMEL = dict(zip(NAMES, ("companyId", "tokens", "events", "refused", "id", "tokensUsed"), strict=True))
PASCAL = {name: value[0].upper() + value[1:] for name, value in CAMEL.items()}


def compile_strictly(folder, *names, **options):
    strict = {"strict": True, "noEmit": True, "target": "es2022", "module": "nodenext", "types": [], **options}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": strict, "files": names}))
    (folder / "node_modules").symlink_to(tools.client_modules())
    tools.run(tools.program("tsc"), "-p", ".", cwd=folder)


@pytest.mark.parametrize(("case", "names"), [("camel", CAMEL), ("pascal", PASCAL)])
def test_a_strict_caller_compiles_against_the_classes(tmp_path, case, names):
    save_types(tmp_path, "dtos.ts", "typescript", case)
    (tmp_path / "caller.ts").write_text(CALLER.format(**names))
    compile_strictly(tmp_path, "caller.ts", skipLibCheck=True)


def test_the_classes_are_strict_but_for_members_that_a_reply_fills(tmp_path):
    text = types_text("typescript")
    assert "// @ts-nocheck" in text
    (tmp_path / "dtos.ts").write_text(text.replace("// @ts-nocheck", ""))
    compile_strictly(tmp_path, "dtos.ts", strictPropertyInitialization=False)


def test_a_namespace_of_ones_own_compiles(tmp_path):
    text = types_text("typescript", "camel", ("GlobalNamespace", "My.Dtos"))
    (tmp_path / "dtos.ts").write_text(text.replace("// @ts-nocheck", ""))
    (tmp_path / "caller.ts").write_text('import { My } from "./dtos";\nnew My.Dtos.GetAiChatUsage();')
    compile_strictly(tmp_path, "caller.ts", strictPropertyInitialization=False)


def test_a_version_and_imports_compile(tmp_path):
    query = (("AddImplicitVersion", "7"), ("DefaultImports", "./mine:Mine"))
    (tmp_path / "dtos.ts").write_text(types_text("typescript", "camel", *query).replace("// @ts-nocheck", ""))
    (tmp_path / "mine.ts").write_text("export class Mine {}\n")
    (tmp_path / "caller.ts").write_text(
        'import { GetAiChatUsage } from "./dtos";\nexport const version: number = new GetAiChatUsage().version;\n'
    )
    compile_strictly(tmp_path, "caller.ts", strictPropertyInitialization=False)


def test_the_classes_of_every_page_compile_beside_what_they_name(tmp_path):
    named = "interface ICompany { companyId?: string }\nclass ResponseStatus { errorCode?: string }\n"
    names = []
    for position, text in enumerate(page_texts("typescript")):
        names.append(f"page{position}.ts")
        (tmp_path / names[-1]).write_text(text.replace("// @ts-nocheck", named))
    compile_strictly(tmp_path, *names, strictPropertyInitialization=False)


def test_exported_declarations_are_imported(tmp_path):
    (tmp_path / "dtos.d.ts").write_text(types_text("typescript.d", "camel", ("ExportAsTypes", "True")))
    (tmp_path / "caller.ts").write_text(
        'import type { GetAiChatUsage, IReturnVoid } from "./dtos";\n'
        'export const sent: GetAiChatUsage & IReturnVoid = { companyId: "c" };\n'
        "// @ts-expect-error: there is no such member\n"
        'export const wrong: GetAiChatUsage = { company: "c" };\n'
    )
    compile_strictly(tmp_path, "caller.ts")


def test_the_declarations_compile_and_know_their_members(tmp_path):
    save_types(tmp_path, "dtos.d.ts", "typescript.d")
    (tmp_path / "caller.ts").write_text(
        '/// <reference path="dtos.d.ts" />\n'
        'export const sent: dtos.GetAiChatUsage & dtos.ICompany = { companyId: "c" };\n'
        "// @ts-expect-error: there is no such member\n"
        'export const wrong: dtos.GetAiChatUsage = { company: "c" };\n'
    )
    compile_strictly(tmp_path, "caller.ts")
