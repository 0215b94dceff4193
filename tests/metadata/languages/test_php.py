"""PHP classes: checked by php -l, and run against stubs of the client's public surface."""

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_page, odd_texts
from tests.metadata.served import save_pages, save_types, types_text

STUBS = r"""<?php namespace ServiceStack;
interface IReturn { function createResponse(): mixed; }
interface IReturnVoid { function createResponse(): void; }
#[\Attribute]
class Returns { public function __construct(public string $type) {} }
class ResponseStatus { }
class TypeContext { }
class JsonConverters {
    static function context(?string $class = null, array $genericArgs = []) { return $class; }
    static function from($class, $value) {
        if ($class == 'Dictionary') return $value;
        if ($class == 'DateTime') return new \DateTime($value);
        $to = new $class();
        $to->fromMap($value);
        return $to;
    }
    static function fromArray($class, $values) {
        return array_map(fn($v) => $class == 'string' ? $v : self::from($class, $v), $values);
    }
    static function to($class, $value) { return $class == 'DateTime' ? $value->format('c') : $value; }
    static function toArray($class, $values) { return array_map(fn($v) => self::to($class, $v), $values); }
}
"""
USE = r"""<?php
require 'stubs.php'; require 'dtos.php';
function check($held, $what) { if (!$held) { fwrite(STDERR, var_export($what, true)); exit(1); } }
$request = new dtos\RecordAiChatUsage(companyId: 'c', tokensUsed: 3);
check(json_encode($request) === '{"companyId":"c","tokensUsed":3}', json_encode($request));
check($request instanceof dtos\ICompany && $request instanceof ServiceStack\IReturn, 'interfaces');
check($request->getTypeName() === 'RecordAiChatUsage' && $request->getMethod() === 'POST', 'operation');
check($request->createResponse() instanceof dtos\AiChatUsageResponse, 'response');
check(json_encode(new dtos\GetAiChatUsage()) === '{}', 'empty');
$said = (new ReflectionClass($request))->getAttributes(ServiceStack\Returns::class)[0]->newInstance();
check($said->type === 'dtos\AiChatUsageResponse', $said);
$text = '{"results":[{"id":"k","roles":["r"],"networks":[],"createdAt":"2026-01-01T00:00:00+00:00"}]}';
$reply = new dtos\ApiKeyQueryResponse();
$reply->fromMap(json_decode($text, true));
check($reply->results[0] instanceof dtos\ApiKeyInfo && $reply->results[0]->expiresAt === null, $reply);
check(json_encode($reply, JSON_UNESCAPED_SLASHES) === $text, json_encode($reply));
"""
ODD_USE = r"""<?php
ob_start(); require 'stubs.php'; require 'dtos.php'; $said = ob_get_clean();
if ($said !== '') { fwrite(STDERR, "left PHP: $said"); exit(1); }
$taken = new dtos\TakenMembers(class: 'c', this_: 't');
$want = '{"class":"c","this":"t"}';
if (json_encode($taken) !== $want) { fwrite(STDERR, json_encode($taken)); exit(1); }
if ((new dtos\OddRequest())->getTypeName() !== 'OddRequest') exit(1);
$reply = new dtos\OddReply();
$reply->fromMap(['at' => '2026-01-01', 'map' => ['a' => 'b'], 'nesteds' => [['text' => 'x']]]);
if (!($reply->nesteds[0] instanceof dtos\List_) || !($reply->at instanceof DateTime)) exit(1);
"""


def run(folder, script):
    (folder / "stubs.php").write_text(STUBS)
    (folder / "use.php").write_text(script)
    tools.run(tools.program("php"), "-d", "error_reporting=-1", "use.php", cwd=folder)


def checked(*paths):
    for path in paths:
        tools.run(tools.program("php"), "-l", path, cwd=path.parent)


def test_the_classes_work(tmp_path):
    checked(save_types(tmp_path, "dtos.php", "php"))
    run(tmp_path, USE)


def test_the_casing_of_the_original_is_sound(tmp_path):
    checked(save_types(tmp_path, "dtos.php", "php", "pascal"))


def test_the_classes_work_without_docs_and_with_a_version(tmp_path):
    text = types_text("php", "camel", ("AddDocAnnotations", "False"), ("AddImplicitVersion", "7"))
    assert "@var" not in text
    (tmp_path / "dtos.php").write_text(text)
    checked(tmp_path / "dtos.php")
    run(
        tmp_path,
        USE.replace('\'{"companyId"', '\'{"version":7,"companyId"').replace("=== '{}'", "=== '{\"version\":7}'"),
    )


def test_the_classes_of_every_page_are_sound(tmp_path):
    checked(*save_pages(tmp_path, "php", "php"))


@pytest.mark.parametrize("options", ["plain", "bare"])
def test_what_is_odd_works_and_keeps_its_names(tmp_path, options):
    (tmp_path / "dtos.php").write_text(odd_texts("php")[options])
    checked(tmp_path / "dtos.php")
    run(tmp_path, ODD_USE)


def test_an_odd_page_is_sound(tmp_path):
    (tmp_path / "page.php").write_text(odd_page("php"))
    checked(tmp_path / "page.php")
