"""Where providers that speak OpenAI's API count or behave unlike OpenAI: one row each, and nothing of them elsewhere.

Only what changes a count, or makes a request fail, has a row. What a reply itself tells (fields that only one provider
has, a total that shows where the reasoning is) is read for all alike in usage.py. Sources: docs/internals/gateway.md.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Compatible:
    """name: of the dialect, in settings."""

    name: str
    has_openai_models: bool = False
    """Whether a model whose name nobody knows is one of OpenAI's, and counts an image as they do."""

    chat_excludes: tuple[str, ...] = ()
    """Members of a chat usage (or of its details) whose tokens are not in `completion_tokens`, and are output."""

    chat_ceiling: str = "max_tokens"
    """The member that bounds an answer of Chat Completions, where we must add one to a request that names none."""

    completion_max: int | None = None
    """What the old completions answer with at most where their request names no ceiling; None: nobody knows."""

    takes_include_usage: bool = True
    """Whether a stream's request may ask for its usage. Where False, it is told unasked."""

    include_usage_refused: Literal["by_model", "by_request", "never"] = "by_model"
    """What may be refused for it all the same: some models always, some requests for what else they have, nothing."""

    key_header: bytes = b"authorization"

    forbids_content: bool = False
    """Whether a 403 may say what is wrong with the content of a request, and so is for who wrote it. Elsewhere it says
    what the key, or the account behind it, may not."""

    wrong_key: re.Pattern[bytes] | None = None
    """What is found in a 400 that refuses the key."""


COMPATIBLES = [
    # OpenAI's reasoning models refuse max_tokens; the others take both.
    Compatible(
        "openai",
        has_openai_models=True,
        chat_ceiling="max_completion_tokens",
        completion_max=16,
        include_usage_refused="never",
    ),
    # Takes no stream_options with data_sources, nor in versions of its API before 2024-09.
    Compatible(
        "azure",
        has_openai_models=True,
        chat_ceiling="max_completion_tokens",
        completion_max=16,
        include_usage_refused="by_request",
        key_header=b"api-key",
    ),
    # Any other that follows OpenAI: vLLM, llama.cpp, LM Studio, Ollama's /v1, Groq, Together, OpenRouter, DeepSeek, …
    # Some have their own moderation, and answer it with 403, as OpenRouter does.
    Compatible("compatible", forbids_content=True),
    # Sends the usage with the last piece of content, and refuses members that it does not know.
    Compatible("mistral", takes_include_usage=False, forbids_content=True),
    Compatible(
        "xai",
        chat_excludes=("reasoning_tokens",),
        forbids_content=True,
        wrong_key=re.compile(rb'(?<!\\)"Incorrect API key provided'),
    ),
    Compatible("perplexity", chat_excludes=("reasoning_tokens", "citation_tokens"), takes_include_usage=False),
]
