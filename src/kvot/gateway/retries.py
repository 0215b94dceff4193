"""What clients do when an answer did not reach them: they send the same call again. It is not charged again.

A repeated call is known by whose it is, the address, and the `Idempotency-Key` that its client gives it; without one,
by the body and the count of retries that official clients send. If the first answer was whole it is given again, and no
provider is asked. Otherwise what the earlier attempts were charged is taken back once the call has come through,
whatever part of their answers had gone out.

Kept in memory, within bounds, for the minutes in which clients retry; never written anywhere.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kvot.core.errors import Conflict
from kvot.core.model import Settlement
from kvot.gateway.dialect import Pair

KEPT_S = 300.0
"""Longer than official clients go on retrying at their defaults."""

REPLY_BYTES_MAX = 262_144
REPLIES_BYTES_MAX = 16_777_216
"""All kept replies together; the oldest go first. A retry that finds its reply gone is sent, and what was charged for
the reply is taken back."""

ATTEMPTS_MAX = 2
"""Attempts at one call that can be taken back: clients retry twice. More would be a way to have answers for nothing."""

ENTRIES_MAX = 4_096

_COUNT = b"x-stainless-retry-count"
_KEY = b"idempotency-key"


class Reply(NamedTuple):
    """A whole reply as it went to the client."""

    status: int
    headers: tuple[Pair, ...]
    body: bytes


class Charged(NamedTuple):
    """An attempt, and what it was charged."""

    hold_id: str
    settlement: Settlement


class Attempt(NamedTuple):
    """Which call a request is an attempt at. `words`: what its body says. `is_repeated`: the client says that it has
    tried before, or may have."""

    call: bytes
    words: bytes
    is_repeated: bool


class _Entry:
    __slots__ = ("charged", "kept_at_s", "taken_back", "words")

    def __init__(self, words: bytes) -> None:
        self.words = words
        self.kept_at_s = 0.0
        self.charged: list[Charged] = []
        self.taken_back = 0


def attempt(whose: Sequence[str], address: str, headers: Mapping[bytes, bytes], body: bytes) -> Attempt | None:
    """None for a client that says nothing by which a retry could be known.

    whose: the credential, and the company that it acts for. address: where the call goes, its query included.
    """
    count, key = headers.get(_COUNT), headers.get(_KEY, b"")
    if count is None and not key:
        return None
    words = hashlib.sha256(body).digest()
    digest = hashlib.sha256()
    for part in (*(each.encode() for each in whose), address.encode(), key, b"" if key else words):
        digest.update(hashlib.sha256(part).digest())
    return Attempt(digest.digest(), words, bool(key) or count not in (None, b"0"))


def check_words(attempt: Attempt, words: bytes) -> None:
    """Raises Conflict where a key that was given to one call is given to another."""
    if attempt.words != words:
        raise Conflict("The Idempotency-Key was used before with another body. Nothing was sent.")


class Retries:
    """The attempts of the last minutes. `now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._replies: OrderedDict[bytes, Reply] = OrderedDict()
        self._bytes = 0

    def reply(self, attempt: Attempt, now_s: float) -> Reply | None:
        """The reply to an earlier attempt, to be given again. Raises Conflict."""
        self._forget(now_s)
        entry = self._entries.get(attempt.call) if attempt.is_repeated else None
        if entry is None:
            return None
        check_words(attempt, entry.words)
        return self._replies.get(attempt.call)

    def fail(self, attempt: Attempt, charged: Charged, now_s: float) -> None:
        """An attempt was charged although its answer did not reach the client whole."""
        entry = self._entry(attempt, now_s)
        entry.charged = [*entry.charged, charged][-ATTEMPTS_MAX:]

    def succeed(self, attempt: Attempt, charged: Charged | None, reply: Reply | None, now_s: float) -> list[Charged]:
        """An attempt has come through. What earlier ones were charged, to be taken back; each is told once.

        reply: to be given to whoever asks again. None where it is too long: then this one may be taken back as well.
        """
        entry = self._entry(attempt, now_s)
        left = ATTEMPTS_MAX - entry.taken_back
        back = entry.charged[-left:] if left else []
        entry.taken_back += len(back)
        entry.charged = [] if charged is None else [charged]
        if reply is not None and len(reply.body) <= REPLY_BYTES_MAX:
            self._drop_reply(attempt.call)
            self._replies[attempt.call] = reply
            self._bytes += len(reply.body)
        self._forget(now_s)
        return back

    def _entry(self, attempt: Attempt, now_s: float) -> _Entry:
        """A first attempt begins anew: the same words said again on purpose are another call."""
        entry = self._entries.get(attempt.call)
        if entry is None or not attempt.is_repeated:
            self._drop_reply(attempt.call)
            entry = self._entries[attempt.call] = _Entry(attempt.words)
        entry.kept_at_s = now_s
        self._entries.move_to_end(attempt.call)
        return entry

    def _forget(self, now_s: float) -> None:
        while self._bytes > REPLIES_BYTES_MAX:
            self._drop_reply(next(iter(self._replies)))
        while self._entries:
            call, oldest = next(iter(self._entries.items()))
            if len(self._entries) <= ENTRIES_MAX and oldest.kept_at_s > now_s - KEPT_S:
                return
            del self._entries[call]
            self._drop_reply(call)

    def _drop_reply(self, call: bytes) -> None:
        reply = self._replies.pop(call, None)
        self._bytes -= 0 if reply is None else len(reply.body)
