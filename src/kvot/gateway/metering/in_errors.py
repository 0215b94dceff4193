"""What a model generated and its server could make no answer of: it stands in the error that comes in its place.

The provider bills it, and the client has it, so it is charged as the rest of an answer that broke off. Known are
`failed_generation` (Groq), and sentences that end with the text (llama.cpp, Ollama, text-generation-inference).
"""

import codecs
import json
import re
from contextlib import suppress
from typing import Any

import msgspec

from kvot.gateway.metering.mended import MENDED_BYTES_MAX, mended
from kvot.gateway.metering.metered import JSON_FAULTS, text_bytes

_GENERATED = "failed_generation"

_QUOTES = re.compile(
    r".{0,256}?(?:Failed to parse input at pos \d+: |error parsing tool call: raw=|Failed to parse generated text)",
    re.DOTALL,
)
"""How a sentence begins that goes on with what was generated, behind the words of the routers that pass it on. No other
is taken for it, however long: a server may tell its stack trace, or quote the request, and has generated nothing."""

_OBJECT = re.compile(r'\{|\[\s{0,16}[\["{]')
"""How the error of the provider begins in a router's sentence. `[Errno 5]` does not."""

_MEMBER = re.compile(_GENERATED + r"""[\\"']{1,16}\s{0,4}:\s{0,4}\\{0,15}["'](?!\\{0,15}["'])""")
"""And where the text is in it, unless it is empty: as JSON, as JSON in a string, or as Python writes it."""

_OF_THE_REQUEST = frozenset({"input", "ctx"})
"""Members in which pydantic's errors quote what was asked."""

_first_in = json.JSONDecoder().raw_decode


def generated_bytes(error: object) -> int:
    """UTF-8 bytes of generated content in an error, at any depth."""
    generated = 0
    left = [error]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            generated += text_bytes(each.get(_GENERATED))
            left += [value for name, value in each.items() if name != _GENERATED and name not in _OF_THE_REQUEST]
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str):
            if match := _QUOTES.match(each):
                generated += text_bytes(each[match.end() :])
            elif _GENERATED in each or "raw=" in each or "parse" in each:
                quoted = _quoted(each)
                left.append(quoted)
                generated += _behind_member(each) if quoted is None else 0
    return generated


def generated_in_refusal(body: bytes) -> int:
    """The same of a whole refusal. What is no JSON, as the page of a proxy or what broke off, is read as a sentence."""
    body = body.removeprefix(codecs.BOM_UTF8)
    document = _document(body)
    if document is None and body.startswith(b"data:"):
        document = [_document(line.removeprefix(b"data:")) for line in body.splitlines() if line.startswith(b"data:")]
    return generated_bytes(body.decode(errors="replace") if document is None else document)


def _quoted(text: str) -> Any:
    """A router gives the error of the provider behind it as text, or in a sentence. None: it cannot be read."""
    whole = _document(text.encode(errors="replace"))
    start = _OBJECT.search(text)
    if whole is not None or start is None or len(text) > MENDED_BYTES_MAX:
        return whole
    with suppress(ValueError, RecursionError):
        end = _first_in(text, start.start())[1]
        return _document(text[start.start() : end].encode(errors="replace"))
    return None


def _behind_member(text: str) -> int:
    member = _MEMBER.search(text)
    return 0 if member is None else text_bytes(text[member.end() :])


def _document(text: bytes) -> Any:
    """None: it is none."""
    if not text.lstrip().startswith((b"{", b"[")):
        return None
    for read in (msgspec.json.decode, _read_mended):
        with suppress(ValueError, *JSON_FAULTS):
            return read(text)
    return None


def _read_mended(text: bytes) -> Any:
    return msgspec.json.decode(mended(text))
