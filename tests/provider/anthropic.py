"""Anthropic: Messages and count_tokens. Its input excludes what a cache gave."""

from typing import Any

from tests.provider.answer import ARGUMENT_PIECES, ARGUMENTS, Answer, encode, event, plain, stream
from tests.provider.script import Figures, Script, figures

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(status: int) -> dict[str, Any]:
    kind = _TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": "The mock was told so."}, "request_id": "req_1"}


def error_body(status: int) -> bytes:
    return encode(error(status))


def answer(path: str, query: str, body: dict[str, Any], script: Script) -> Answer | None:
    if path.endswith("/messages/count_tokens"):
        return plain({"input_tokens": script.input_tokens}, error(500))
    if not path.endswith("/messages"):
        return None
    made = figures(script, body.get("max_tokens"))
    model = script.model or str(body.get("model", "mock-1"))
    return _stream(model, script, made) if body.get("stream") else _plain(model, script, made)


def _usage(made: Figures) -> dict[str, Any]:
    # There is no total to contradict: instead the lifetimes of what was written to the cache exceed their sum.
    written = {"ephemeral_5m_input_tokens": 1_000 if made.is_contradictory else 0, "ephemeral_1h_input_tokens": 0}
    return {
        "input_tokens": made.input - made.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": made.cached,
        "cache_creation": written,
        "output_tokens": made.output,
        "output_tokens_details": {"thinking_tokens": made.reasoning},
        "service_tier": "standard",
        **made.beside,
    }


def _content(script: Script) -> dict[str, Any]:
    if script.tool:
        return {"type": "tool_use", "id": "toolu_1", "name": script.tool, "input": ARGUMENTS}
    return {"type": "text", "text": script.text * script.chunks}


def _message(model: str, content: list[Any], stop: str | None, usage: dict[str, Any] | None) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content}
    return message | {"stop_reason": stop, "stop_sequence": None} | ({"usage": usage} if usage else {})


def _stop(script: Script) -> str:
    return "tool_use" if script.tool else "end_turn"


def _plain(model: str, script: Script, made: Figures | None) -> Answer:
    return plain(_message(model, [_content(script)], _stop(script), _usage(made) if made else None), error(500))


def _stream(model: str, script: Script, made: Figures | None) -> Answer:
    first = _usage(made) | {"output_tokens": 1} if made else None
    events: list[dict[str, Any]] = [{"type": "message_start", "message": _message(model, [], None, first)}]
    start, deltas = _block(script)
    events += [{"type": "content_block_start", "index": 0, "content_block": start}, {"type": "ping"}]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events += [{"type": "content_block_stop", "index": 0}]
    last: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": _stop(script), "stop_sequence": None}}
    usage_at = len(events)
    events += [last | ({"usage": {"output_tokens": made.output}} if made else {}), {"type": "message_stop"}]
    pieces = [event(each, each["type"]) for each in events]
    return stream(pieces, event(error(529), "error"), usage_at=usage_at, content_at=3)


def _block(script: Script) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if script.tool:
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENT_PIECES]
        return _content(script) | {"input": {}}, deltas
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": script.text}] * script.chunks
