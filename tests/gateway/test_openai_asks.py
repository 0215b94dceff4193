"""What requests ask for, what of them changes on the way, and which are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvot.core.errors import InvalidRequest
from kvot.gateway.dialect import Ask, Size
from kvot.gateway.providers import DIALECTS
from kvot.gateway.providers.members import MEMBERS_MAX
from kvot.gateway.providers.openai import media
from tests.gateway.sizes import unframed

CHAT, OLD, RESPONSES, EMBEDDINGS = "/chat/completions", "/completions", "/responses", "/embeddings"


def ask_of(path: str, body: bytes | dict[str, Any], dialect: str = "openai") -> Ask:
    found = DIALECTS[dialect].find("POST", path, {})
    assert found
    assert found.endpoint.read
    return found.endpoint.read(body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode(), {})


ODD = b' {\n"model" : "m", "n":2,"messages":[ {"role":"user","content":"\\u0061\\/b"} ],\t"x":1.50, "seed":7 } '


def test_what_need_not_change_goes_on_byte_for_byte():
    assert ask_of(CHAT, ODD).body() == ODD


@pytest.mark.parametrize(
    ("path", "sent", "ceiling", "goes_on"),
    [
        (CHAT, b'{"model":"m"}', 9, b'{"max_completion_tokens":9,"model":"m"}'),
        (CHAT, b'{"model":"m","max_tokens": 90 }', 9, b'{"model":"m","max_tokens": 9 }'),
        (CHAT, b'{"max_tokens":8,"model":"m"}', 9, b'{"max_tokens":8,"model":"m"}'),
        (
            CHAT,
            b'{"model":"m","max_tokens":8,"max_completion_tokens":90}',
            9,
            b'{"model":"m","max_tokens":8,"max_completion_tokens":9}',
        ),
        (CHAT, b'{"m\\u0061x_tokens":90,"model":"m"}', 9, b'{"m\\u0061x_tokens":9,"model":"m"}'),
        (CHAT, b'{"model":"m","max_tokens":null}', 9, b'{"max_completion_tokens":9,"model":"m","max_tokens":null}'),
        (OLD, b'{"model":"m","prompt":"a"}', 9, b'{"max_tokens":9,"model":"m","prompt":"a"}'),
        (RESPONSES, b'{"model":"m","max_output_tokens":90}', 9, b'{"model":"m","max_output_tokens":9}'),
        (RESPONSES, b'{"model":"m","stream":true}', 9, b'{"max_output_tokens":9,"model":"m","stream":true}'),
        (RESPONSES, b'{"model":"m","stream":true}', None, b'{"model":"m","stream":true}'),
        (EMBEDDINGS, b'{"model":"m","input":"a"}', 9, b'{"model":"m","input":"a"}'),
        (
            CHAT,
            b'{"model":"m","stream":true}',
            None,
            b'{"stream_options":{"include_usage":true},"model":"m","stream":true}',
        ),
        (
            CHAT,
            b'{"stream_options": {"x":[1] , "include_usage" : false},"stream":true,"max_tokens":90,"model":"m"}',
            9,
            b'{"stream_options": {"x":[1] , "include_usage" : true},"stream":true,"max_tokens":9,"model":"m"}',
        ),
        (
            OLD,
            b'{"model":"m","max_tokens":9,"stream":true,"stream_options":null}',
            None,
            b'{"model":"m","max_tokens":9,"stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            CHAT,
            b'{"model":"m","stream":true,"stream_options":{}}',
            None,
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
    ],
)
def test_what_must_change_changes_in_its_place(path: str, sent: bytes, ceiling: int | None, goes_on: bytes):
    assert ask_of(path, sent).body(ceiling) == goes_on


@pytest.mark.parametrize(
    ("dialect", "goes_on"),
    [
        ("compatible", b'{"max_tokens":9,"stream_options":{"include_usage":true},"model":"m","stream":true}'),
        ("mistral", b'{"max_tokens":9,"model":"m","stream":true}'),
    ],
)
def test_a_provider_is_asked_in_its_own_words(dialect: str, goes_on: bytes):
    assert ask_of(CHAT, b'{"model":"m","stream":true}', dialect).body(9) == goes_on


@pytest.mark.parametrize(
    ("dialect", "sent", "ceiling", "goes_on"),
    [
        ("compatible", b'{"max_completion_tokens":16}', None, b'{"max_tokens":16,"max_completion_tokens":16}'),
        ("compatible", b'{"max_completion_tokens":16}', 9, b'{"max_tokens":9,"max_completion_tokens":9}'),
        ("xai", b'{"max_tokens":16}', None, b'{"max_tokens":16}'),
        ("compatible", b'{"max_tokens":8,"max_completion_tokens":16}', None, None),
        ("openai", b'{"max_completion_tokens":16}', None, None),
        ("compatible", b"{}", None, None),
    ],
)
def test_a_ceiling_that_a_provider_may_not_know_is_said_in_the_words_that_all_know(dialect, sent, ceiling, goes_on):
    sent, goes_on = (
        each and each[:-1] + (b"," if len(each) > 2 else b"") + b'"model":"m"}' for each in (sent, goes_on)
    )
    assert ask_of(CHAT, sent, dialect).body(ceiling) == (goes_on or sent)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
FREE_NAMES = NAMES.filter(lambda name: name.casefold() not in ("stream_options", "max_tokens", "n", "text", "input"))


@given(st.dictionaries(FREE_NAMES, JSON, max_size=5), st.booleans(), st.none() | st.integers(1, 100), st.booleans())
def test_a_changed_body_says_the_same_but_for_what_was_to_change(
    others: dict[str, Any], is_stream: bool, ceiling: int | None, is_ascii: bool
):
    members = {**others, "model": "m", "stream": is_stream}
    if ceiling is not None:
        members["max_tokens"] = ceiling
    changed = ask_of(CHAT, json.dumps(members, ensure_ascii=is_ascii).encode()).body(50)
    wanted = members | ({"stream_options": {"include_usage": True}} if is_stream else {})
    name = "max_completion_tokens" if ceiling is None else "max_tokens"
    assert json.loads(changed) == wanted | {name: min(50, ceiling or 50)}


@pytest.mark.parametrize(
    ("path", "members", "output_max", "answers"),
    [
        (CHAT, {}, None, 1),
        (CHAT, {"n": None, "max_tokens": None}, None, 1),
        (CHAT, {"max_tokens": 10, "n": 3}, 10, 3),
        (CHAT, {"max_tokens": 10, "max_completion_tokens": 20}, 20, 1),
        (OLD, {"max_tokens": 0}, 0, 1),
        (OLD, {"prompt": ["a", "b"], "n": 2, "best_of": 5}, 16, 10),
        (OLD, {"prompt": [1, 2, 3], "n": 2}, 16, 2),
        (OLD, {"prompt": [[1], [2, 3]]}, 16, 2),
        (OLD, {"prompt": "a", "prompt_embeds": ["AAAA"] * 50, "n": 2}, 16, 102),
        (OLD, {"prompt": ["a", "b"], "prompt_embeds": "AAAA"}, 16, 3),
        (OLD, {"prompt": "a", "prompt_embeds": None}, 16, 1),
        (RESPONSES, {"max_output_tokens": 10, "n": 3}, 10, 3),
        (EMBEDDINGS, {"input": "a"}, 0, 1),
    ],
)
def test_the_ceiling_is_that_of_every_answer(path: str, members: dict[str, Any], output_max: int | None, answers: int):
    ask = ask_of(path, members)
    assert (ask.output_max, ask.answers) == (output_max, answers)


@pytest.mark.parametrize(("path", "output_min"), [(CHAT, 1), (OLD, 0), (RESPONSES, 16), (EMBEDDINGS, 0)])
def test_no_ceiling_is_asked_for_that_the_api_would_not_take(path: str, output_min: int):
    assert ask_of(path, {}).output_min == output_min


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"content": list(parts)}]}


BASE64 = "A" * 64_000
PNG = "data:image/png;base64," + BASE64


@pytest.mark.parametrize(
    ("path", "members", "text_bytes", "media_tokens"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "Grüß"}]}, 4 + 6, 0),
        (CHAT, user({"type": "text", "text": PNG}), 4 + len(PNG), 0),
        (CHAT, user({"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}), 11 + 3, 31),
        (CHAT, user({"type": "input_audio", "input_audio": {"data": BASE64, "format": "mp3"}}), 11 + 3, 121),
        (CHAT, user({"type": "file", "file": {"file_data": BASE64}}), 4, 12_001),
        (CHAT, user({"type": "file", "file": {"file_id": "file_1"}}), 4 + 6, media.FILE_REFERENCE_TOKENS),
        (CHAT, {"tools": [{"function": {"name": "f", "parameters": {"city": {}}}}]}, 27, media.TOOLS_TOKENS),
        (CHAT, {"prediction": {"content": "abc"}, "response_format": {"type": "text"}}, 3 + 8, 0),
        # Of a schema the model reads names, numbers, truth values and nulls too.
        (CHAT, {"response_format": {"enum": [10, 1.5, True, None]}}, 4 + 2 + 3 + 4 + 4, 0),
        (RESPONSES, {"input": [{"type": "t", "tools": [{"ab": {"cd": 1}}]}]}, 1 + 2 + 2 + 1, media.TOOLS_TOKENS),
        (RESPONSES, {"input": "abc", "instructions": "de"}, 5, 0),
        (RESPONSES, {"input": "abc", "prompt": {"id": "pm"}}, 3 + 2, media.STORED_TOKENS),
        (RESPONSES, {"input": [{"encrypted_content": BASE64}]}, 0, 12_000),
        (
            RESPONSES,
            {"input": [{"type": "function_call_output", "output": [{"type": "input_file", "file_data": BASE64}]}]},
            30,
            12_001,
        ),
        (EMBEDDINGS, {"input": ["abc", "de"]}, 5, 0),
        (EMBEDDINGS, {"input": [[1, 2, 3], [4]]}, 0, 4),
        (OLD, {"prompt": [1, 2, 3], "suffix": "z"}, 1, 3),
        # What not OpenAI, but others of its family read.
        (CHAT, {"prompt": "abc"}, 3, 0),
        (CHAT, {"prompt": [1, 2, 3]}, 0, 3),
        (CHAT, {"chat_template_kwargs": {"documents": [{"text": "abc", "top": 10}]}}, 9 + 4 + 3 + 3 + 2, 0),
        (CHAT, {"documents": [{"text": "abc"}], "chat_template": None}, 4 + 3, 0),
        (CHAT, {"data_sources": [{"type": "s", "parameters": {"role_information": "abc"}}]}, 4 + 1 + 10 + 16 + 3, 0),
        (OLD, {"messages": [{"role": "user", "content": "abc"}]}, 4 + 3, 0),
        (EMBEDDINGS, {"messages": [{"role": "user", "content": "abc"}]}, 4 + 3, 0),
        (EMBEDDINGS, {"input": "a", "chat_template_kwargs": {"task": "b"}}, 1 + 4 + 1, 0),
    ],
)
def test_the_size_is_of_text_and_of_media_by_their_constants(
    path: str, members: dict[str, Any], text_bytes: int, media_tokens: int
):
    assert unframed(ask_of(path, members).size) == Size(text_bytes, media_tokens)


@pytest.mark.parametrize(
    ("path", "members"),
    [
        (CHAT, user({"type": "file", "file": {"file_data": "data:text/plain;base64," + BASE64}})),
        (RESPONSES, {"input": [{"type": "input_file", "file_data": "data:Text/CSV;base64," + BASE64}]}),
    ],
)
def test_a_file_of_text_is_held_by_its_bytes_and_charged_as_any_file(path: str, members: dict[str, Any]):
    size = ask_of(path, members).size
    assert 48_000 <= size.media_tokens + size.spare_tokens < 48_020
    assert size.media_tokens < 12_010


URL = "https://x"
REFERENCE = media.FILE_REFERENCE_TOKENS


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"image_url": {"url": URL}}, 16_384),
        ({"image_url": URL}, 16_384),
        ({"type": "text", "uuid": "u", "text": "", "image_url": {"url": URL}}, 16_384),
        ({"uuid": "u", "image_url": None}, 16_384),
        ({"type": "video_url", "video_url": {"url": URL}}, REFERENCE),
        ({"video_url": URL}, REFERENCE),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + BASE64}}, REFERENCE),
        ({"type": "audio_url", "audio_url": {"url": URL}}, REFERENCE),
        ({"audio_url": {"url": "data:audio/mpeg;base64," + BASE64}}, 121),
        ({"uuid": "u", "input_audio": {"data": BASE64, "format": "mp3"}}, 121),
        ({"type": "document_url", "document_url": URL}, REFERENCE),
        ({"type": "document_url", "document_url": "data:application/pdf;base64," + BASE64}, 12_006),
        ({"type": "document_url", "document_url": "data:application/pdf;base64," + BASE64 * 20}, 200_000),
        ({"type": "text", "text": "", "image_url": None}, 0),
    ],
)
def test_a_part_counts_as_the_medium_that_some_server_takes_it_for(part: dict[str, Any], tokens: int):
    size = ask_of(CHAT, user(part), "compatible").size
    assert size.media_tokens + size.spare_tokens == tokens
    assert size.text_bytes < 200


@pytest.mark.parametrize(("dialect", "more"), [("compatible", 100 * 16_384), ("openai", 0)])
def test_each_mark_of_an_image_in_a_text_is_one_at_ollama(dialect: str, more: int):
    def tokens(text: str, *parts: dict[str, Any]) -> int:
        size = ask_of(CHAT, user({"type": "text", "text": text}, *parts), dialect).size
        return size.media_tokens + size.spare_tokens

    image = {"type": "image_url", "image_url": {"url": PNG}}
    assert tokens("[img-0]" * 100, image) - tokens("", image) == more
    assert tokens("[img-0]" * 100) == 0
    inputs = [{"content": [{"type": "input_text", "text": "[img-0]"}, {"type": "input_image", "image_url": PNG}]}]
    size = ask_of(RESPONSES, {"input": inputs}, dialect).size
    assert (size.media_tokens + size.spare_tokens == 2 * 16_384) is (dialect == "compatible")


def test_a_message_is_no_medium():
    assert ask_of(CHAT, {"messages": [{"role": "user", "image_url": PNG}]}, "compatible").size.text_bytes > len(PNG)


@pytest.mark.parametrize("named", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_what_is_gone_on_from_has_a_place_of_its_own_in_the_size(named: dict[str, Any]):
    assert unframed(ask_of(RESPONSES, {"input": "abc", **named}).size) == Size(3, stored_tokens=media.STORED_TOKENS)
    assert ask_of(RESPONSES, {"input": "abc", "request_id": "r", **named}).size.stored_tokens == media.STORED_TOKENS


def test_the_id_that_an_answer_is_to_have_is_nothing_to_be_read():
    assert ask_of(RESPONSES, {"input": "abc", "request_id": "r"}).size.stored_tokens == 0


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"model":"m"} {}', "not a JSON object"),
        (b'{"model":"m",}', "not a JSON object"),
        (b'\xef\xbb\xbf{"model":"m"}', "not a JSON object"),
        ('{"model":"m"}'.encode("utf-16"), "not a JSON object"),
        (b'{"model":"m","max_tokens":1e400}', "out of range"),
        (b'{"model":"m","x":NaN}', "not a JSON object"),
        (b'{"model":"m","x":"\xff"}', "not UTF-8"),
        (b'{"model":"m","model":"k"}', "'model' twice"),
        (b'{"model":"m","model":"m"}', "'model' twice"),
        (b'{"model":"m","max_tokens":1,"max_tokens":100}', "'max_tokens' twice"),
        (b'{"model":"m","max_tokens":100,"max_tokens":1}', "'max_tokens' twice"),
        (b'{"model":"m","max_tokens":1,"max_\\u0074okens":1}', "'max_tokens' twice"),
        (b'{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}', "'include_usage' twice"),
        (b'{"model":"m","messages":[{"content":"long","content":""}]}', "'content' twice"),
        (b'{"model":"m","messages":[{"a\\\\":1,"content":"long","content":""}]}', "'content' twice"),
        (b'{"model":"m","x":' + b"[" * 65 + b"]" * 65 + b"}", "more than 64 levels"),
        (b'{"model":"m","x":' + b"[" * 100_000, "more than 64 levels"),
        (b'{"model":"m","x":[' + b"1," * MEMBERS_MAX + b"1]}", "more than 100000 members"),
        (b"{" + b",".join(b'"a%d":1' % at for at in range(1_001)) + b"}", "more than 1000 members"),
        (b"{}", "'model' must be text"),
        (b'{"model":null}', "'model' must be text"),
        (b'{"model":["m"]}', "'model' must be text"),
        (b'{"model":"m\\n"}', "'model' must be text"),
        (b'{"model":"m","stream":"yes"}', "'stream' must be true or false"),
        (b'{"model":"m","stream":1}', "'stream' must be true or false"),
        (b'{"model":"m","stream_options":true}', "'stream_options' must be an object"),
        (b'{"model":"m","stream_options":{"include_usage":"no"}}', "'include_usage' must be true or false"),
        (b'{"model":"m","max_tokens":-1}', "'max_tokens' must be a whole number from 1"),
        (b'{"model":"m","max_tokens":0}', "'max_tokens' must be a whole number from 1"),
        (b'{"model":"m","max_tokens":1.5}', "'max_tokens' must be a whole number"),
        (b'{"model":"m","max_tokens":true}', "'max_tokens' must be a whole number"),
        (b'{"model":"m","max_tokens":"9"}', "'max_tokens' must be a whole number"),
        (b'{"model":"m","max_completion_tokens":1000000000001}', "'max_completion_tokens' must be a whole number"),
        (b'{"model":"m","n":0}', "'n' must be a whole number from 1 to 128"),
        (b'{"model":"m","n":1000000}', "'n' must be a whole number from 1 to 128"),
    ],
)
def test_what_could_be_read_in_two_ways_or_in_none_is_refused(body: bytes, complaint: str):
    with pytest.raises(InvalidRequest, match=complaint):
        ask_of(CHAT, body)


@pytest.mark.parametrize("dialect", ["openai", "azure", "compatible", "mistral", "xai", "perplexity"])
@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (CHAT, "Max_Tokens", 100_000),
        (CHAT, "max_to\u212aens", 100_000),
        (CHAT, "max_completion_token\u017f", 100_000),
        (CHAT, "N", 128),
        (CHAT, "Messages", []),
        (CHAT, "TOOLS", []),
        (CHAT, "Stream", True),
        (OLD, "Prompt", "a"),
        (OLD, "BEST_OF", 9),
        (EMBEDDINGS, "Input", "a"),
        (EMBEDDINGS, "Model", "k"),
        (RESPONSES, "Max_Output_Tokens", 100_000),
        (RESPONSES, "Previous_Response_Id", "resp_1"),
    ],
)
def test_a_name_in_another_case_is_refused_as_some_servers_read_it(dialect: str, path: str, name: str, value: Any):
    with pytest.raises(InvalidRequest, match=f"'{name}' must be written '{name.casefold()}'"):
        ask_of(path, {name: value}, dialect)


def test_so_is_the_name_of_the_usage_that_is_asked_for():
    with pytest.raises(InvalidRequest, match="must be written 'include_usage'"):
        ask_of(CHAT, {"stream": True, "stream_options": {"include_usage": True, "Include_Usage": False}})


def test_a_name_that_nobody_reads_may_be_in_any_case():
    assert ask_of(CHAT, {"X": 1, "metadata": {"Max_Tokens": 5}}).model == "m"


OTHERS = ["n_predict", "num_predict", "max_new_tokens", "max_length", "N_Predict", "auto_max_new_tokens"]
BOTH = "use 'max_completion_tokens' or 'max_tokens'"


@pytest.mark.parametrize(
    ("path", "read"), [(CHAT, BOTH), (OLD, "use 'max_tokens'"), (RESPONSES, "'max_output_tokens'")]
)
@pytest.mark.parametrize("name", OTHERS)
def test_a_ceiling_in_the_words_of_another_server_is_refused_with_those_that_are_read(path: str, read: str, name: str):
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here.*{read}"):
        ask_of(path, {name: 100_000}, "compatible")
    assert ask_of(path, {name: None}, "compatible").model == "m"


SAME = [
    (CHAT, "max_tokens", ("max_new_tokens",)),
    (CHAT, "max_completion_tokens", ("max_tokens", "n_predict", "max_length")),
    (OLD, "max_tokens", ("max_completion_tokens", "num_predict")),
    (RESPONSES, "max_output_tokens", ("max_tokens",)),
]


@pytest.mark.parametrize(("path", "name", "others"), SAME)
def test_ceilings_that_say_the_same_go_on_and_are_lowered_alike(path: str, name: str, others: tuple[str, ...]):
    equal = dict.fromkeys((name, *others), 100)
    ask = ask_of(path, equal, "mistral")
    assert (ask.output_max, json.loads(ask.body())) == (100, {"model": "m", **equal})
    assert json.loads(ask.body(20)) == {"model": "m", **dict.fromkeys(equal, 20)}


@pytest.mark.parametrize(("path", "name", "others"), SAME)
@pytest.mark.parametrize("other", [99, 101, 100.0, "100", True, -1])
def test_where_they_do_not_the_one_that_is_not_read_is_refused(path, name, others, other):
    with pytest.raises(InvalidRequest, match=f"'{others[-1]}' is not possible here"):
        ask_of(path, {name: 100, others[-1]: other}, "compatible")


@pytest.mark.parametrize("members", [{"auto_max_new_tokens": 1}, {"n_predict": 1, "N_Predict": 9}, {"N_Predict": 1}])
def test_nor_may_one_that_says_it_in_another_way(members: dict[str, Any]):
    with pytest.raises(InvalidRequest, match="is not possible here"):
        ask_of(CHAT, {"max_tokens": 1} | members, "compatible")


def test_none_that_is_no_ceiling_to_some_is_no_other_to_others():
    with pytest.raises(InvalidRequest, match="'n_predict' is not possible here"):
        ask_of(OLD, {"max_tokens": 0, "n_predict": 0}, "compatible")


@pytest.mark.parametrize(
    ("path", "name", "read"),
    [
        (CHAT, "n_cmpl", "use 'n'"),
        (CHAT, "best_of", "use 'n'"),
        (OLD, "n_cmpl", "use 'n' or 'best_of'"),
        (RESPONSES, "n_cmpl", "use 'n'"),
        (RESPONSES, "best_of", "use 'n'"),
    ],
)
def test_so_is_the_number_of_answers(path: str, name: str, read: str):
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here.* {read}"):
        ask_of(path, {name: 64}, "compatible")
    assert ask_of(path, {name: 1}, "compatible").answers == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (CHAT, "max_output_tokens"),
        (OLD, "max_completion_tokens"),
        (RESPONSES, "max_completion_tokens"),
        (RESPONSES, "max_tokens"),
    ],
)
def test_so_is_the_ceiling_of_another_path_which_llama_cpp_reads_at_each(path: str, name: str):
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here"):
        ask_of(path, {name: 100_000}, "compatible")


MESSAGES = [{"role": "user", "content": "a"}]
HIGHER: list[dict[str, Any]] = [
    {"fallbacks": [{"model": "k", "max_tokens": 100_000}]},
    {"fallbacks": ["k", {"model": "k", "messages": MESSAGES, "n_predict": "100000"}]},
    {"fallbacks": {"model": "k", "Max_Tokens": 100_000.0}},
    {"fallbacks": [{"m": [{"model": "k", "max_completion_tokens": 100_000}]}]},
    {"fallbacks": [{"model": "k", "extra_body": {"max_new_tokens": 100_000}}]},
    {"fallbacks": [{"model": "k", "n": 64}]},
    {"fallbacks": [{"model": "k", "auto_max_new_tokens": True}]},
    {"Fallbacks": [{"model": "k", "max_output_tokens": 100_000}]},
    {"context_window_fallbacks": [{"m": [{"model": "k", "max_tokens": 100_000}]}]},
    {"content_policy_fallbacks": [{"m": [{"model": "k", "max_tokens": 100_000}]}]},
    {"extra_body": {"max_tokens": 100_000}},
    {"extra_body": {"previous_response_id": "resp_of_another"}},
    {"extra_body": {"Messages": [{"role": "user", "content": "a" * 9_000}]}},
    {"extra_body": {"chat_template": "{{ 'a' * 9000 }}"}},
]


@pytest.mark.parametrize("path", [CHAT, OLD, RESPONSES])
@pytest.mark.parametrize("other", HIGHER, ids=range(len(HIGHER)))
def test_a_request_in_the_place_of_this_one_has_no_ceiling_of_its_own(path: str, other: dict[str, Any]):
    with pytest.raises(InvalidRequest, match="Leave it out: the request's own counts"):
        ask_of(path, other, "compatible")


@pytest.mark.parametrize(
    "fallbacks",
    [
        None,
        [],
        "default",
        ["k", "l"],
        {"m": ["k"]},
        [{"m": ["k", "l"]}],
        [{"model": "k", "messages": MESSAGES}],
        [{"provider": "k", "model": "l", "max_tokens": None, "n": 1, "temperature": 0}],
        [{"model": "k", "response_format": {"schema": {"properties": {"n": {"type": "string"}, "max_length": {}}}}}],
    ],
)
@pytest.mark.parametrize("path", [CHAT, OLD, RESPONSES])
def test_one_that_only_names_models_goes_on_as_it_came(path: str, fallbacks: Any):
    ceiling = "max_output_tokens" if path == RESPONSES else "max_tokens"
    body = json.dumps({"model": "m", ceiling: 9, "fallbacks": fallbacks}).encode()
    assert ask_of(path, body, "compatible").body() == body


@pytest.mark.parametrize("dialect", ["compatible", "mistral", "xai"])
@pytest.mark.parametrize(
    ("path", "sent", "output_max", "goes_on", "lowered"),
    [
        (CHAT, b'"max_tokens":-1', None, b'"max_tokens":-1', b'"max_tokens":9'),
        (CHAT, b'"max_tokens":-1.0', None, b'"max_tokens":-1', b'"max_tokens":9'),
        (
            CHAT,
            b'"max_tokens":100,"max_completion_tokens":-1',
            None,
            b'"max_tokens":100,"max_completion_tokens":-1',
            b'"max_tokens":9,"max_completion_tokens":9',
        ),
        (OLD, b'"max_tokens":-1', None, b'"max_tokens":-1', b'"max_tokens":9'),
        (RESPONSES, b'"max_output_tokens":-1', None, b'"max_output_tokens":-1', b'"max_output_tokens":9'),
        (CHAT, b'"max_tokens":256.0', 256, b'"max_tokens":256', b'"max_tokens":9'),
        (CHAT, b'"max_tokens":256.0000000000000000001', 256, b'"max_tokens":256', b'"max_tokens":9'),
        (CHAT, b'"max_tokens":8.0', 8, b'"max_tokens":8', b'"max_tokens":8'),
    ],
)
def test_ceilings_are_read_as_compatible_servers_read_them(dialect, path, sent, output_max, goes_on, lowered):
    ask = ask_of(path, b'{"model":"m",%b}' % sent, dialect)
    assert ask.output_max == output_max
    assert (ask.body(), ask.body(9)) == (b'{"model":"m",%b}' % goes_on, b'{"model":"m",%b}' % lowered)


@pytest.mark.parametrize("value", [-2, -1.5, 256.5, 1e30, True, "9"])
def test_other_ceilings_are_refused_there_too(value: object):
    for members in ({"max_tokens": value}, {"max_tokens": value, "max_completion_tokens": -1}):
        with pytest.raises(InvalidRequest, match="'max_tokens' must be a whole number"):
            ask_of(CHAT, members, "compatible")


@pytest.mark.parametrize("value", [-1, 256.0])
@pytest.mark.parametrize("dialect", ["openai", "azure"])
def test_openai_reads_them_as_it_says(dialect: str, value: float):
    with pytest.raises(InvalidRequest, match="'max_tokens' must be a whole number"):
        ask_of(CHAT, {"max_tokens": value}, dialect)


def test_where_ollama_takes_none_for_no_ceiling_it_is_none():
    old = [ask_of(OLD, {"max_tokens": 0}, dialect) for dialect in ("openai", "compatible")]
    assert [(ask.output_max, ask.output_min) for ask in old] == [(0, 0), (None, 1)]


@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS])
def test_a_template_that_could_write_without_end_is_refused(path: str):
    with pytest.raises(InvalidRequest, match="'chat_template' is not possible here"):
        ask_of(path, {"input": "a", "chat_template": "{% for i in range(9**9) %}a{% endfor %}"}, "compatible")


@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS])
@pytest.mark.parametrize("name", ["chat_template", "Chat_Template", "conversation", "tokenize"])
def test_so_is_what_some_put_over_the_arguments_of_a_template(path: str, name: str):
    kwargs = {"enable_thinking": False, name: "{% for i in range(9**9) %}a{% endfor %}"}
    with pytest.raises(InvalidRequest, match=f"'{name}' in 'chat_template_kwargs' is not possible here"):
        ask_of(path, {"input": "a", "chat_template_kwargs": kwargs}, "compatible")


@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS])
@pytest.mark.parametrize("name", ["mm_processor_kwargs", "media_io_kwargs"])
def test_what_decides_how_many_tokens_an_image_becomes_is_refused(path: str, name: str):
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here"):
        ask_of(path, {"input": "a", name: {"max_pixels": 10**9}}, "compatible")
    assert ask_of(path, {"input": "a", name: {}}, "compatible").model == "m"


def test_what_a_template_is_told_otherwise_is_not():
    kwargs = {"enable_thinking": False, "chat_template": None}
    assert ask_of(CHAT, {"chat_template_kwargs": kwargs}, "compatible").model == "m"


def test_a_name_that_a_parser_may_cut_is_refused():
    with pytest.raises(InvalidRequest, match="control character"):
        ask_of(CHAT, {"max_tokens": 5, "max_tokens\0": 100_000})


def test_where_nothing_is_generated_such_a_word_bounds_nothing():
    assert ask_of(EMBEDDINGS, {"input": "a", "max_length": 512}, "compatible").output_max == 0


def test_text_that_looks_like_members_is_none():
    body = json.dumps({"model": "m", "messages": [{"content": '{"a":1,"a":2, "model":"k"}\\": "' * 3}]}).encode()
    assert ask_of(CHAT, body).body() == body


@pytest.mark.parametrize("path", [CHAT, OLD, RESPONSES])
@pytest.mark.parametrize("name", ["background", "deferred"])
@pytest.mark.parametrize("dialect", ["openai", "compatible", "xai"])
def test_an_answer_for_later_is_refused_as_its_tokens_would_never_be_told(dialect: str, name: str, path: str):
    with pytest.raises(InvalidRequest, match=f"'{name}' is not possible here"):
        ask_of(path, {name: True}, dialect)
    with pytest.raises(InvalidRequest, match=f"'{name}' must be true or false"):
        ask_of(path, {name: "true"}, dialect)
    assert ask_of(path, {name: False}, dialect).model == ask_of(path, {name: None}, dialect).model == "m"


def is_read_or_refused(path: str, body: bytes) -> bool:
    try:
        return bool(ask_of(path, body).body(1))
    except InvalidRequest as error:
        return bool(error.message)


PATHS = st.sampled_from([CHAT, OLD, RESPONSES, EMBEDDINGS])


@given(PATHS, st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(path: str, body: bytes):
    assert is_read_or_refused(path, body)


READ = ["messages", "input", "prompt", "tools", "n", "stream", "stream_options", "instructions", "conversation"]


@given(PATHS, st.dictionaries(st.sampled_from(READ), JSON))
def test_members_of_any_kind_are_read_or_refused(path: str, members: dict[str, Any]):
    assert is_read_or_refused(path, json.dumps({"model": "m"} | members).encode())
