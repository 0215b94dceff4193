"""Go structs: as gofmt formats them, vetted by go, and run against the interfaces that the client asks of a request."""

import pytest

from tests.metadata import tools
from tests.metadata.languages.odd import odd_texts
from tests.metadata.served import types_text

GO_MOD = """module example.org/check

go 1.19

require github.com/ServiceStack/servicestack-go v0.0.0

replace github.com/ServiceStack/servicestack-go => ./client
"""
CLIENT = """package servicestack

type IReturn[T any] interface{ CreateResponse() T }
type IReturnVoid interface{ CreateResponseVoid() }
type IVerb interface{ HttpMethod() string }
type ResponseStatus struct{}
"""
USE = """package main

import (
	"encoding/json"
	dtos "example.org/check/dtos"
	ss "github.com/ServiceStack/servicestack-go"
)

func ask[T any](request ss.IReturn[T]) T { return request.CreateResponse() }

func check(held bool, what string) {
	if !held {
		panic(what)
	}
}

func main() {
	company := "c"
	request := dtos.RecordAiChatUsage{CompanyId: &company, TokensUsed: 3}
	text, _ := json.Marshal(request)
	check(string(text) == `{"companyId":"c","tokensUsed":3}`, string(text))
	reply := ask[dtos.AiChatUsageResponse](request)
	check(json.Unmarshal([]byte(`{"companyId":"c","tokensUsed":7}`), &reply) == nil, "reply")
	check(reply.TokensUsed == 7 && reply.ResponseStatus == nil, "members")
	var keys dtos.ApiKeyQueryResponse
	at := `{"results":[{"id":"k","createdAt":"2026-01-01T00:00:00Z"}]}`
	check(json.Unmarshal([]byte(at), &keys) == nil && keys.Results[0].CreatedAt.Year() == 2026, "dates")
	check(ss.IVerb(dtos.RevokeApiKey{}).HttpMethod() == "DELETE", "verb")
}
"""
ODD_USE = """package main

import (
	"encoding/json"
	dtos "example.org/check/dtos"
	ss "github.com/ServiceStack/servicestack-go"
)

var _ ss.IReturnVoid = dtos.VoidRequest{}
var _ ss.IReturn[dtos.OddReply] = dtos.OddRequest{}

func main() {
	text := "t"
	got, _ := json.Marshal(dtos.TakenMembers{Type: &text, HttpMethod_: &text})
	if string(got) != `{"httpMethod":"t","type":"t"}` {
		panic(string(got))
	}
}
"""


def run(folder, dtos, use):
    files = {"go.mod": GO_MOD, "main.go": use, "dtos/dtos.go": dtos}
    client = {
        "client/client.go": CLIENT,
        "client/go.mod": "module github.com/ServiceStack/servicestack-go\n\ngo 1.19\n",
    }
    for name, content in {**files, **client}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    tools.run(tools.program("go"), "vet", "./...", cwd=folder)
    tools.run(tools.program("go"), "run", ".", cwd=folder)


def formatted(folder, text):
    """gofmt -e says all that is wrong, and writes what was there. In the header an empty option ends in a blank."""
    bare = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    (folder / "formatted.go").write_text(bare, encoding="utf-8")
    assert tools.run(tools.program("gofmt"), "-e", "formatted.go", cwd=folder) == bare


def test_the_structs_work(tmp_path):
    run(tmp_path, types_text("go"), USE)


def test_without_types_of_its_own_the_file_takes_those_of_the_client(tmp_path):
    text = types_text("go", "camel", ("AddServiceStackTypes", "False"))
    assert "type ResponseStatus struct" not in text
    run(tmp_path, text, USE)


@pytest.mark.parametrize("options", ["plain", "required"])
def test_what_is_odd_works_and_keeps_its_names(tmp_path, options):
    run(tmp_path, odd_texts("go")[options], ODD_USE)


FORMS = {"camel": types_text("go"), "pascal": types_text("go", "pascal"), **odd_texts("go")}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_formatted(tmp_path, form):
    formatted(tmp_path, FORMS[form])
