"""The seam to providers: what the gateway must know of an API to pass its calls on, meter them and refuse them.

A dialect is data and pure functions: bytes in, values out. It never does I/O, never reads a clock, and never sees the
address or the key of a provider. Everything that a client or a provider sends may be hostile: every reader takes any
bytes, raises InvalidRequest for a request that cannot be understood, and nothing for a reply.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kvot.core.errors import KvotError, wait_ms, whole_seconds
from kvot.gateway.receipt import Told
from kvot.gateway.tokens import Reported

Pair = tuple[bytes, bytes]

LONG_BYTES = 65_536
"""From here on what a request says is let go of once it is measured: its call may take minutes, and characters take up
to four bytes each. Of a shorter one it is not worth the look."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a request gives the model to read, for the estimate of its input tokens."""

    text_bytes: int
    """UTF-8 bytes of all that is text, the names and values of tools and schemas included; encoded images, sound and
    files are not text."""
    media_tokens: int = 0
    """For images, sound, files, and what the API adds for tools, by the constants that docs/internals/gateway.md
    gives."""
    texts: Sequence[str] = field(default=(), compare=False, repr=False)
    """The texts of those bytes, for who counts their tokens: the request's own, never copied and never shown. A file of
    text that stands there encoded is among the bytes alone."""
    stored_tokens: int = 0
    """For an earlier reply that the request goes on from: a constant, until the ledger knows how many they are."""
    spare_tokens: int = 0
    """What it may take beyond all that, as images may be at their largest, and tools of the provider's own bring in and
    make what no request shows: held, and never charged by an estimate."""
    written: Sequence[str] = field(default=(), compare=False, repr=False)
    """Texts of those bytes as well, of tools and schemas: they count as JSON writes them, without the quotes."""
    frame_bytes: int = 0
    """Of what stands around that text, as JSON or a template has it, and of members that no rule reads. It may be a
    token each, and mostly is far less: held, and never charged by an estimate."""


PREVIOUS_REPLY_NOT_FOUND = "PreviousReplyNotFound"
"""The code of the refusal of a stored reply that the company did not make; dialects say it in their own word."""


class Named(NamedTuple):
    """Something that a provider keeps of earlier calls, as a request names it.

    member: by which member; None: by the path itself. reply_id: a stored reply, which the company that made it may name
    (empty: none can have such an id); None: something else. Where a request names both, the latter.
    """

    member: str | None
    reply_id: str | None = None


class Ask(Protocol):
    """A call that a client asks for, read from its request."""

    model: str
    is_stream: bool
    size: Size
    output_max: int | None
    """The most output tokens that the request allows one answer to have; None: it names none."""
    output_min: int
    """The lowest `output_max` that the request can be sent on with; where less remains, it is refused, not clamped.

    A thinking budget must fit below the ceiling, and some APIs take no ceiling under a few tokens.
    """
    answers: int
    """How many answers it asks for (`n`, `candidateCount`); the ceiling of the call is `output_max * answers`."""
    stored: Named | None
    """What it names of all that the provider keeps of earlier calls; None: nothing of the kind."""

    def body(self, output_max: int | None = None) -> bytes:
        """The bytes to send on: the client's own where nothing must change, otherwise changed in just that place.

        output_max: a lower ceiling to ask for, per answer. Whatever else the dialect must add to be told the usage
        (`include_usage`) is added here too.
        """
        ...


class Meter(Protocol):
    """Reads one reply as it passes. It keeps no more of it than the event or line it is in, and a bound of that."""

    def feed(self, data: bytes) -> bytes:
        """What to send on now. The same bytes, but for events that were asked for on our own account."""
        ...

    def finish(self) -> bytes:
        """What was kept back, at the reply's end; empty in a reply that ended where it should."""
        ...

    @property
    def reported(self) -> Reported | None:
        """The provider's figures so far; None as long as it gave none that can be true (negative, absurd)."""
        ...

    @property
    def output_bytes(self) -> int:
        """UTF-8 bytes of generated content (text, reasoning, tool arguments) that have passed, for the estimate."""
        ...

    @property
    def has_failed(self) -> bool:
        """An error came inside a reply that began well."""
        ...

    @property
    def is_over(self) -> bool:
        """The API's own last word has come, with final figures before or in it: clients may take it for the end."""
        ...

    @property
    def model(self) -> str | None:
        """The model that answered, where the reply names it."""
        ...

    @property
    def request_id(self) -> str | None:
        """The provider's own id of the reply, where it names one."""
        ...

    @property
    def told(self) -> Told:
        """What the reply told beside its tokens, so far. To be asked for at its end: it is put together then."""
        ...


class UsageOption(NamedTuple):
    """What a dialect adds to a request on our own account, to be told its usage.

    name: the member, as a provider that does not know it names it in its refusal.
    without: the same call without it; None where it was not added.
    is_of_model: whether it is refused depends on the model, and not on what else a request has.
    """

    name: str
    without: Callable[[Ask], Ask | None]
    is_of_model: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a provider's API. `read` None: it uses no tokens, and passes without a hold.

    read: the request's body and the path's variables to what it asks for; raises InvalidRequest.
    meter: for a reply to that, by whether its content type is a stream's (SSE, NDJSON, …; `content_type` lower-case).
    has_array: its replies are JSON arrays, errors too.
    stored: of a path that passes without a hold, what `Ask.stored` is of the others, by the request's body and the
    path's variables.
    stores: whether the provider stores the reply to an ask, and hands it out by the id that the meter reads.
    """

    name: str  # in metrics and events: "chat", "responses", "embeddings"
    read: Callable[[bytes, Mapping[str, str]], Ask] | None = None
    meter: Callable[[Ask, str], Meter] | None = None
    has_array: bool = False
    stored: Callable[[bytes, Mapping[str, str]], Named | None] | None = None
    stores: Callable[[Ask], bool] | None = None
    usage_option: UsageOption | None = None

    def framed(self, refusal: "Refusal") -> "Refusal":
        """A reply of our own in the form that clients of this path read."""
        return refusal._replace(body=b"[%b]" % refusal.body) if self.has_array else refusal


class Found(NamedTuple):
    endpoint: Endpoint
    variables: Mapping[str, str]


class Limits(NamedTuple):
    """How a company stands at an instant, for the headers and bodies that tell a client so.

    fits_after_ms: until the tokens asked for certainly fit; None where waiting cannot help, or nothing was refused.
    soon_ms: only calls under way are in their way, and when to ask again. That limits the rate; the budget is not
    exhausted. None: it is, or nothing was refused.
    """

    now_ms: int
    token_limit: int
    tokens_used: int
    tokens_held: int
    window_ms: int
    fits_after_ms: int | None = None
    soon_ms: int | None = None

    @property
    def is_short_term(self) -> bool:
        return self.soon_ms is not None

    @property
    def tokens_remaining(self) -> int:
        """What can still be reserved."""
        return max(0, self.token_limit - self.tokens_used - self.tokens_held)

    @property
    def reset_ms(self) -> int:
        """How long until all of the limit is free again if nothing more is used: at the latest a whole window, or
        where calls under way may yet be charged, and were waited for, as long as that."""
        return max(self.window_ms, self.fits_after_ms or 0) if self.tokens_used + self.tokens_held else 0

    @property
    def retry_after_ms(self) -> int | None:
        """When to ask again; None where waiting cannot help, or nothing was refused."""
        return wait_ms(self.fits_after_ms, self.soon_ms)

    @property
    def retry_after_s(self) -> int | None:
        """The same in whole seconds."""
        return None if self.retry_after_ms is None else whole_seconds(self.retry_after_ms)


class Refusal(NamedTuple):
    """A reply of our own, in the provider's shape."""

    status: int
    headers: tuple[Pair, ...]
    body: bytes


class Dialect(Protocol):
    """One provider's API. Paths are as its official client sends them behind the base URL, beginning with a slash."""

    name: str
    base_has_version: bool
    """Whether the base URL that its official clients are given ends in the API's version."""
    request_id: bytes | None
    """The header in which its official clients look for the id of a reply; None: in none."""
    deciding_query: frozenset[str]
    """Query parameters by which `find` decides what is asked for: none of them may be given twice."""

    def find(self, verb: str, path: str, query: Mapping[str, str]) -> Found | None:
        """What a path means; None: not an API that we pass on."""
        ...

    def credential(self, headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> str | None:
        """The Kvot key (or token) that the client sent in the place of the provider's."""
        ...

    def authorization(self, api_key: str) -> tuple[Pair, ...]:
        """How the provider takes its key. An empty key: none."""
        ...

    def passes_request_header(self, name: bytes) -> bool:
        """Whether a client's header goes on to the provider: those that the API knows. `name` is lower-case.

        Never a credential, an organisation or project of the provider's, a cookie, or how the call came here.
        """
        ...

    def passes_query(self, name: str) -> bool:
        """Whether a client's query parameter goes on to the provider. The query is built anew from those that do.

        Never a credential, and nothing that would hide the usage from the reply.
        """
        ...

    def passes_reply_header(self, name: bytes) -> bool:
        """Whether a provider's header goes on to the client. Never its organisation's ids or cookies."""
        ...

    def exhausted(self, limits: Limits, message: str, request_id: str, status: int) -> Refusal:
        """The budget does not hold the call. `status` is 429 or, by a setting, 402. With `x-should-retry: false`, but
        where open holds alone are in the way: that is a limit of the rate in the API's own words."""
        ...

    def failed(self, error: KvotError, status: int, request_id: str) -> Refusal:
        """Any other error, in the words and codes that the official clients know; `x-should-retry: false` where it is
        final."""
        ...

    def refuses_key(self, status: int, body: bytes) -> bool:
        """Whether a provider's refusal is of the key, or of the account behind it, and not of what was asked."""
        ...

    def limit_headers(self, limits: Limits) -> tuple[Pair, ...]:
        """The API's own family of headers, with our figures, for any reply."""
        ...
