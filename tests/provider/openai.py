"""OpenAI: Chat Completions, Responses, Embeddings, Models."""

import re
from typing import Any

from tests.provider.answer import ARGUMENT_PIECES, Answer, encode, event, plain, stream
from tests.provider.script import Figures, Script, figures

_STORED = re.compile(r"/responses/(resp_\w+)(?:/cancel)?$")
_ITEMS = re.compile(r"/responses/resp_\w+/input_items$")
"""Whatever is named, this provider has stored it. DELETE is answered as GET is: clients look at its status alone."""

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "tokens"}


def error(status: int) -> dict[str, Any]:
    code = "rate_limit_exceeded" if status == 429 else None
    kind = _TYPES.get(status, "server_error")
    return {"error": {"message": "The mock was told so.", "type": kind, "param": None, "code": code}}


def answer(path: str, query: str, body: dict[str, Any], script: Script) -> Answer | None:
    model = script.model or str(body.get("model", "mock-1"))
    if path.endswith("/chat/completions"):
        ceiling = body.get("max_completion_tokens", body.get("max_tokens"))
        made = figures(script, ceiling)
        return _chat_stream(model, body, script, made) if body.get("stream") else _chat(model, body, script, made)
    if path.endswith("/responses"):
        made = figures(script, body.get("max_output_tokens"))
        return _response_stream(model, script, made) if body.get("stream") else _response(model, script, made)
    if path.endswith("/responses/input_tokens"):
        return plain({"object": "response.input_tokens", "input_tokens": script.input_tokens}, error(500))
    if stored := _STORED.search(path):
        if "stream=true" in query:
            return _response_stream(model, script, figures(script, None))
        return plain(_whole_response(model, script, figures(script, None)) | {"id": stored[1]}, error(500))
    if _ITEMS.search(path):
        said = {"type": "input_text", "text": "Hello"}
        item = {"type": "message", "id": "msg_0", "role": "user", "status": "completed", "content": [said]}
        page = {"object": "list", "first_id": "msg_0", "last_id": "msg_0", "has_more": False, "data": [item]}
        return plain(page, error(500))
    if path.endswith("/embeddings"):
        return _embeddings(model, body, script)
    if path.endswith("/models"):
        return plain({"object": "list", "data": [_model("mock-1")]}, error(500))
    if "/models/" in path and ":" not in path:
        return plain(_model(path.rsplit("/", 1)[1]), error(500))
    return None


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "mock"}


def _usage(made: Figures | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "prompt_tokens": made.input,
        "completion_tokens": made.output,
        "total_tokens": made.total,
        "prompt_tokens_details": {"cached_tokens": made.cached},
        "completion_tokens_details": {"reasoning_tokens": made.reasoning},
        **made.beside,
    }


def _call(script: Script) -> dict[str, Any]:
    arguments = "".join(ARGUMENT_PIECES)
    return {"id": "call_1", "type": "function", "function": {"name": script.tool, "arguments": arguments}}


def _chat(model: str, body: dict[str, Any], script: Script, made: Figures | None) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": script.text * script.chunks}
    if script.tool:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(script)]}
    finish = "tool_calls" if script.tool else "stop"
    choices = [{"index": n, "message": message, "finish_reason": finish} for n in range(body.get("n") or 1)]
    reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": choices}
    return plain(reply | ({"usage": _usage(made)} if made else {}), error(500))


def _chat_stream(model: str, body: dict[str, Any], script: Script, made: Figures | None) -> Answer:
    wants_usage = (body.get("stream_options") or {}).get("include_usage", False)
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    tail: dict[str, Any] = {"usage": None} if wants_usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | tail)

    if script.tool:
        begun = _call(script) | {"function": {"name": script.tool, "arguments": ""}}
        pieces = [chunk({"role": "assistant", "tool_calls": [{"index": 0, **begun}]})]
        told = [{"index": 0, "function": {"arguments": piece}} for piece in ARGUMENT_PIECES]
        pieces += [chunk({"tool_calls": [each]}) for each in told]
    else:
        pieces = [chunk({"role": "assistant", "content": script.text})] + [chunk({"content": script.text})] * (
            script.chunks - 1
        )
    pieces.append(chunk({}, "tool_calls" if script.tool else "stop"))
    usage_at = len(pieces)
    if wants_usage and made:
        pieces.append(event(base | {"choices": [], "usage": _usage(made)}))
    pieces.append(b"data: [DONE]\n\n")
    return stream(pieces, event(error(500)), usage_at=usage_at, content_at=0)


def _response_usage(made: Figures | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "input_tokens": made.input,
        "input_tokens_details": {"cached_tokens": made.cached, "cache_write_tokens": 0},
        "output_tokens": made.output,
        "output_tokens_details": {"reasoning_tokens": made.reasoning},
        "total_tokens": made.total,
        **made.beside,
    }


def _output(script: Script) -> list[dict[str, Any]]:
    if script.tool:
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": script.tool, "status": "completed"}
        return [call | {"arguments": "".join(ARGUMENT_PIECES)}]
    text = {"type": "output_text", "text": script.text * script.chunks, "annotations": []}
    return [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}]


def _whole_response(model: str, script: Script, made: Figures | None) -> dict[str, Any]:
    return {
        "id": script.reply_id,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": _output(script),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _response_usage(made),
    }


def _response(model: str, script: Script, made: Figures | None) -> Answer:
    return plain(_whole_response(model, script, made), error(500))


def _response_stream(model: str, script: Script, made: Figures | None) -> Answer:
    whole = _whole_response(model, script, made)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    if script.tool:
        place = {"item_id": "fc_1", "output_index": 0}
        kind = "response.function_call_arguments"
        item = whole["output"][0] | {"status": "in_progress", "arguments": ""}
        events += [{"type": "response.output_item.added", "output_index": 0, "item": item}]
        events += [{"type": f"{kind}.delta", "delta": piece} | place for piece in ARGUMENT_PIECES]
        events += [{"type": f"{kind}.done", "name": script.tool, "arguments": "".join(ARGUMENT_PIECES)} | place]
    else:
        item = whole["output"][0] | {"status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        events += [{"type": "response.output_item.added", "output_index": 0, "item": item}]
        events += [{"type": "response.content_part.added", "part": part} | place]
        delta = {"type": "response.output_text.delta", "delta": script.text, "logprobs": []}
        events += [delta | place] * script.chunks
    events += [{"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]}]
    events += [{"type": "response.completed", "response": whole}]
    pieces = [event(each | {"sequence_number": n}, each["type"]) for n, each in enumerate(events)]
    failed = {"type": "error", "code": "server_error", "message": "The mock was told so.", "param": None}
    return stream(pieces, event(failed | {"sequence_number": 9}, "error"), usage_at=len(pieces) - 1, content_at=3)


def _embeddings(model: str, body: dict[str, Any], script: Script) -> Answer:
    asked = body.get("input", "")
    count = len(asked) if isinstance(asked, list) and asked and not isinstance(asked[0], int) else 1
    vector: Any = "AACAPwAAAD8=" if body.get("encoding_format") == "base64" else [1.0, 0.5]
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(count)]
    reply: dict[str, Any] = {"object": "list", "model": model, "data": data}
    if made := figures(script, 0):
        # An embedding has no output: if there is some, a fault has put it there.
        reply["usage"] = {"prompt_tokens": made.output or made.input, "total_tokens": made.total}
    return plain(reply, error(500))


def error_body(status: int) -> bytes:
    return encode(error(status))
