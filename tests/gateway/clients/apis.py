"""The kinds of calls that official clients make: how each is asked, and what its reply says, whatever the client."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.gateway.calls import TEXT

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
_SAID = [{"role": "user", "content": TEXT}]


class Raised(NamedTuple):
    name: str
    status: int | None
    message: str


class Come(NamedTuple):
    """What came of a call: what was said, the tool that was called with its arguments, what was raised."""

    said: str = ""
    tool: tuple[str, Any] | None = None
    raised: Raised | None = None


class Api(NamedTuple):
    """One kind of call. `method`: by its names in the client; `read`: of its reply's pieces, one if it is plain."""

    client: str
    prefix: str  # at Kvot
    own_prefix: str  # at the provider
    method: str
    body: dict[str, Any]
    tools: list[Any]
    read: Callable[[list[Any]], Come]

    def asked(self, is_stream: bool, with_tool: bool) -> dict[str, Any]:
        return self.body | ({"tools": self.tools} if with_tool else {}) | ({"stream": True} if is_stream else {})


def _come(said: str, name: str, arguments: str) -> Come:
    return Come(said, (name, json.loads(arguments or "null")) if name else None)


def _read_chat(pieces: list[Any]) -> Come:
    said = name = arguments = ""
    for choice in (choice for piece in pieces for choice in piece["choices"]):
        part = choice.get("delta") or choice.get("message") or {}
        said += part.get("content") or ""
        for call in part.get("tool_calls") or ():
            name += call["function"].get("name") or ""
            arguments += call["function"].get("arguments") or ""
    return _come(said, name, arguments)


def _read_response(pieces: list[Any]) -> Come:
    said = name = arguments = ""
    for each in [item for piece in pieces for item in [*piece.get("output", ()), piece]]:
        match each.get("type"):
            case "message":
                said += "".join(part["text"] for part in each["content"])
            case "response.output_text.delta":
                said += each["delta"]
            case "function_call":
                name, arguments = each["name"], each["arguments"]
            case "response.output_item.added" if each["item"]["type"] == "function_call":
                name = each["item"]["name"]
            case "response.function_call_arguments.delta":
                arguments += each["delta"]
    return _come(said, name, arguments)


def _read_message(pieces: list[Any]) -> Come:
    said = name = arguments = ""
    for each in [block for piece in pieces for block in [*(piece.get("content") or ()), piece]]:
        block = each.get("content_block") or each
        delta = each.get("delta") or {}
        if block.get("type") == "tool_use":
            name, arguments = block["name"], json.dumps(block["input"]) if block["input"] else ""
        said += block.get("text") or delta.get("text") or ""
        arguments += delta.get("partial_json") or ""
    return _come(said, name, arguments)


def _read_gemini(pieces: list[Any]) -> Come:
    said, tool = "", None
    for part in [part for piece in pieces for part in piece["candidates"][0]["content"]["parts"]]:
        said += part.get("text") or ""
        if call := part.get("function_call"):
            tool = call["name"], call["args"]
    return Come(said, tool)


_FUNCTION = {"name": "weather", "parameters": _SCHEMA}
_OPENAI = "openai", "/openai/v1", "/v1"
CHAT = Api(
    *_OPENAI,
    "chat.completions.create",
    {"model": "m", "messages": _SAID},
    [{"type": "function", "function": _FUNCTION}],
    _read_chat,
)
RESPONSES = Api(
    *_OPENAI, "responses.create", {"model": "m", "input": TEXT}, [{"type": "function", **_FUNCTION}], _read_response
)
MESSAGES = Api(
    "anthropic",
    "/anthropic",
    "",
    "messages.create",
    {"model": "m", "max_tokens": 99, "messages": _SAID},
    [{"name": "weather", "input_schema": _SCHEMA}],
    _read_message,
)
GEMINI = Api(
    "genai",
    "/gemini",
    "",
    "models.generate_content",
    {"model": "m", "contents": TEXT},
    [{"function_declarations": [{"name": "weather", "parameters_json_schema": _SCHEMA}]}],
    _read_gemini,
)

APIS = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "gemini": GEMINI}
