"""Gemini: generateContent, streamGenerateContent as SSE and as one JSON array, countTokens, embeddings.

Its output excludes the thoughts.
"""

from typing import Any

from tests.provider.answer import ARGUMENTS, JSON, Answer, encode, event, plain, stream
from tests.provider.script import Figures, Script, figures

_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def error(status: int) -> dict[str, Any]:
    name = _STATUSES.get(status, "UNAVAILABLE")
    return {"error": {"code": status, "message": "The mock was told so.", "status": name}}


def error_body(status: int) -> bytes:
    return encode(error(status))


def answer(path: str, query: str, body: dict[str, Any], script: Script) -> Answer | None:
    name, _, action = path.rpartition("/")[2].partition(":")
    model = script.model or name
    config = body.get("generationConfig") or {}
    match action:
        case "generateContent":
            made = figures(script, config.get("maxOutputTokens"))
            return plain(_reply(model, script, script.chunks, made, "STOP"), error(500))
        case "streamGenerateContent":
            made = figures(script, config.get("maxOutputTokens"))
            return _stream(model, script, made, is_sse="alt=sse" in query)
        case "countTokens":
            return plain({"totalTokens": script.input_tokens}, error(500))
        case "embedContent":
            return plain({"embedding": {"values": [1.0, 0.5]}}, error(500))
        case "batchEmbedContents":
            asked = body.get("requests") or [None]
            return plain({"embeddings": [{"values": [1.0, 0.5]} for _ in asked]}, error(500))
    return None


def _usage(made: Figures) -> dict[str, Any]:
    return {
        "promptTokenCount": made.input,
        "cachedContentTokenCount": made.cached,
        "candidatesTokenCount": made.output - made.reasoning,
        "thoughtsTokenCount": made.reasoning,
        "totalTokenCount": made.total,
        **made.beside,
    }


def _reply(model: str, script: Script, times: int, made: Figures | None, finish: str | None) -> dict[str, Any]:
    part: dict[str, Any] = {"text": script.text * times}
    if script.tool:
        part = {"functionCall": {"name": script.tool, "args": ARGUMENTS}}
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    reply = {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}
    usage = {"usageMetadata": _usage(made)} if made else {}
    return reply | usage | {"modelVersion": model, "responseId": "r1"}


def _stream(model: str, script: Script, made: Figures | None, *, is_sse: bool) -> Answer:
    """Figures grow from reply to reply; the last ones count."""
    so_far = made and Figures(made.input, made.cached, 0, 0)
    replies = [] if script.tool else [_reply(model, script, 1, so_far, None)] * (script.chunks - 1)
    replies.append(_reply(model, script, 1, made, "STOP"))
    last = len(replies) - 1
    if is_sse:
        return stream([event(each) for each in replies], event(error(503)), usage_at=last, content_at=0)
    # The array opens with its first element and closes with its last, so that each piece holds one.
    pieces = [b",\r\n" + encode(each) for each in replies]
    pieces[0] = b"[" + pieces[0].removeprefix(b",\r\n")
    pieces[-1] += b"]"
    # With one element alone the error is the first, and the array has not begun.
    failed = (b"[" if last == 0 else b",\r\n") + encode(error(503)) + b"]"
    return Answer(JSON, pieces, failed, True, last, 0, b',{"broken": ', b"[" + encode(error(503)) + b"]")
