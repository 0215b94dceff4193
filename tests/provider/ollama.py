"""Ollama, native: chat, generate, embed. It streams (NDJSON) unless told not to; the last line has the figures."""

from typing import Any

from tests.provider.answer import ARGUMENTS, NDJSON, Answer, encode, plain
from tests.provider.script import Figures, Script, figures


def error(status: int) -> dict[str, Any]:
    return {"error": f"The mock was told {status}."}


def error_body(status: int) -> bytes:
    return encode(error(status))


def answer(path: str, query: str, body: dict[str, Any], script: Script) -> Answer | None:
    model = script.model or str(body.get("model", "mock-1"))
    if path.endswith("/api/embed"):
        return _embed(model, body, script)
    if not path.endswith(("/api/chat", "/api/generate")):
        return None
    ceiling = (body.get("options") or {}).get("num_predict")
    made = figures(script, ceiling if ceiling is not None and ceiling >= 0 else None)
    is_chat = path.endswith("/api/chat")
    if body.get("stream", True):
        return _stream(model, script, made, is_chat=is_chat)
    return plain(_line(model, _said(script, script.chunks, is_chat=is_chat), made, is_done=True), error(500))


def _usage(made: Figures) -> dict[str, Any]:
    # There is no total to contradict: instead more of the prompt was cached than it had.
    cached = made.input + 1_000 if made.is_contradictory else made.cached
    figures_ = {"prompt_eval_count": made.input, "prompt_eval_cached_count": cached, "eval_count": made.output}
    return figures_ | made.beside


def _said(script: Script, times: int, *, is_chat: bool) -> dict[str, Any]:
    text = script.text * times
    if not is_chat:
        return {"response": text}
    if script.tool and times:
        call = {"function": {"name": script.tool, "arguments": ARGUMENTS}}
        return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}
    return {"message": {"role": "assistant", "content": text}}


def _line(model: str, said: dict[str, Any], made: Figures | None, *, is_done: bool) -> dict[str, Any]:
    line = {"model": model, "created_at": "2026-01-01T00:00:00Z"} | said | {"done": is_done}
    if not is_done:
        return line
    return line | {"done_reason": "stop", "total_duration": 2, "load_duration": 1} | (_usage(made) if made else {})


def _stream(model: str, script: Script, made: Figures | None, *, is_chat: bool) -> Answer:
    text = _line(model, _said(script, 1, is_chat=is_chat), None, is_done=False)
    last = _line(model, _said(script, 0, is_chat=is_chat), made, is_done=True)
    pieces = [encode(each) + b"\n" for each in [text] * (1 if script.tool else script.chunks) + [last]]
    return Answer(NDJSON, pieces, encode(error(500)) + b"\n", True, len(pieces) - 1, 0, b'{"broken": \n')


def _embed(model: str, body: dict[str, Any], script: Script) -> Answer:
    asked = body.get("input", "")
    count = len(asked) if isinstance(asked, list) else 1
    made = figures(script, 0)
    usage = {"prompt_eval_count": made.output or made.input} if made else {}  # output: put there by a fault
    return plain({"model": model, "embeddings": [[1.0, 0.5]] * count, "total_duration": 2} | usage, error(500))
