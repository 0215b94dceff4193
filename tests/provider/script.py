"""What the mock provider is told: the figures of its answers, their pace, and what goes wrong with them."""

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum


class Fault(StrEnum):
    """One thing that goes wrong. Each can be had with every dialect, plain and streamed."""

    NONE = "none"

    DROP_BEFORE_HEAD = "drop-before-head"
    """The request is read whole, then the connection is closed."""
    DROP_AFTER_BYTES = "drop-after-bytes"
    """Closed after `Script.after_bytes` of the body."""
    DROP_BEFORE_USAGE = "drop-before-usage"
    """Closed before the event that tells the usage; in the middle of a plain reply."""
    RESET = "reset"
    """As DROP_AFTER_BYTES, but with a TCP reset: what was under way may be lost too."""
    HANG = "hang"
    """Nothing is ever answered."""
    STALL = "stall"
    """The head and half of the body come, then nothing more."""
    NO_END = "no-end"
    """All of the body comes, but not the end of the reply."""
    ENDLESS = "endless"
    """The body never ends."""

    MALFORMED = "malformed"
    """An event (or the whole plain body) that is no JSON."""
    ERROR_INSIDE = "error-inside"
    """The dialect's error inside a reply whose status is 200; the usage never comes."""
    ERROR_ALONE = "error-alone"
    """The same, and nothing before it."""
    CR = "cr"
    CRLF = "crlf"
    SPLIT_UTF8 = "split-utf8"
    """Every piece ends within a character, where there is one to end in."""
    BYTE_BY_BYTE = "byte-by-byte"

    USAGE_MISSING = "usage-missing"
    USAGE_NEGATIVE = "usage-negative"
    USAGE_HUGE = "usage-huge"
    """More than any integer of 64 bits."""
    USAGE_CONTRADICTORY = "usage-contradictory"
    """The total is not the sum; where a dialect gives no total, a part is larger than the whole."""

    REDIRECT = "redirect"
    """307 to another path of this provider."""
    LENGTH_SHORT = "length-short"
    """The declared length ends five bytes early; the rest comes all the same."""
    LENGTH_LONG = "length-long"
    """The declared length promises five bytes that never come."""
    BROKEN_FRAMES = "broken-frames"
    """Chunked, with a chunk whose size is no number."""
    UNTIL_CLOSE = "until-close"
    """No length is declared at all: the end of the connection is the end of the body, and nothing is wrong."""
    INTERIM = "interim"
    """A 103 comes before the reply; nothing is wrong."""
    GZIP = "gzip"
    DEFLATE = "deflate"
    BOMB = "bomb"
    """Fifty kilobytes of gzip that hold BOMB_BYTES."""
    MANY_HEADERS = "many-headers"
    """10,000 of them."""
    HUGE_HEADER = "huge-header"
    """One of 2 MB."""


BOMB_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Script:
    """How the provider answers.

    pace: one permit for each piece of a body (an event, a line; a plain body is one piece). None: as fast as it goes.
    Tests hold pieces back with it instead of sleeping; `delay_ms` is for the process form, where nobody can release.
    """

    input_tokens: int = 9
    cached_tokens: int = 0
    """Of the input, those read from a cache; Anthropic is told them apart, as it reports them."""
    output_tokens: int = 12
    reasoning_tokens: int = 0
    """Of the output; Gemini is told them apart."""
    obeys_ceiling: bool = True
    """The output is at most what the request allows."""
    chunks: int = 3
    """Pieces of text in a stream."""
    text: str = "Hej då 😀 "
    """What each of them says; a plain answer says it so many times."""
    tool: str | None = None
    """The name of a tool that the answer calls instead of saying anything."""
    model: str | None = None
    """What the reply names as its model. None: the one that was asked for."""
    usage_text: str | None = None
    """Text that stands among the figures of the usage, where no provider should have any."""
    reply_id: str = "resp_1"
    """The id of an answer of Responses."""
    status: int = 200
    """Anything from 400: an error in the dialect's own shape."""
    recorded: tuple[bytes, ...] | None = None
    """The pieces of a stream, given as they are in place of one that is made up."""
    error: bytes | None = None
    """The body of that error. None: the usual one."""
    refuses: str | None = None
    """A member that a request must not have, or it is refused with 400 (or `status`), in words that name it."""
    ceiling_max: int | None = None
    """The most that a request may name as its ceiling: more is refused with 400, as models do that answer with less."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every reply, such as ("retry-after", "7")."""
    pace: asyncio.Semaphore | None = None
    delay_ms: int = 0
    fault: Fault = Fault.NONE
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """`cached` is a part of `input`, `reasoning` one of `output`."""

    input: int
    cached: int
    output: int
    reasoning: int
    is_contradictory: bool = False
    text: str | None = None

    @property
    def beside(self) -> dict[str, str]:
        """What stands among them."""
        return {} if self.text is None else {"note": self.text}

    @property
    def total(self) -> int:
        return self.input + self.output + (1_000 if self.is_contradictory else 0)


def figures(script: Script, ceiling: int | None) -> Figures | None:
    """What the answer's usage says; None: it has none. `ceiling`: the most output that the request allows."""
    output = script.output_tokens
    if ceiling is not None and script.obeys_ceiling:
        output = min(output, ceiling)
    reasoning = min(script.reasoning_tokens, output)
    true = Figures(script.input_tokens, script.cached_tokens, output, reasoning, text=script.usage_text)
    match script.fault:
        case Fault.USAGE_MISSING:
            return None
        case Fault.USAGE_NEGATIVE:
            return replace(true, output=-7)
        case Fault.USAGE_HUGE:
            return replace(true, output=10**30)
        case Fault.USAGE_CONTRADICTORY:
            return replace(true, is_contradictory=True)
    return true
