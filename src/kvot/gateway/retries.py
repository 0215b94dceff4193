"""What clients do when an answer did not reach them: they send the same call again. It is not charged again.

An answer is delivered when all of it was handed to a connection that stood. It is lost when its client left before, or
the provider broke it off, or sent an error in its place. Refused attempts were charged nothing, and count for nothing.

| an attempt with | is at | is given a kept answer | once it has its own, takes back |
|---|---|---|---|
| an `Idempotency-Key` | the call of that key | of its call, as often as it asks | the last two lost ones of its call |
| no key, retry count 0 | a call of its own | never | nothing |
| no key, retry count n | some call of its words, nobody knows which | never | the last n lost ones, two at most |

What was charged for a delivered answer is never taken back, and what was for a lost one is once. So whoever repeats a
call pays for one answer, and where several callers say the same words at once, in whatever order they come through, all
of them together pay for the answers that they got. Without a key no answer may be given to anybody but the attempt that
it was made for: the same words may be another call, that asks for an answer of its own.

Kept in memory, within bounds, for the minutes in which clients retry; never written anywhere. So this is what one
process knows of its own attempts. Where it knows of fewer lost ones than may be taken back, `elsewhere` looks in the
ledger for those of other processes: of them the same is taken back, and no answer is given.
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
"""A longer one is not kept. The key's next attempt is then sent, and charged if the answer had been delivered."""

REPLIES_BYTES_MAX = 16_777_216
"""All kept replies together; the oldest go first. What was said of longer ones then holds for them."""

ATTEMPTS_MAX = 2
"""Lost attempts that one answer takes back: clients retry twice. More would be a way to have answers for nothing."""

LOST_MAX = 32
"""Lost attempts that are kept of the same words: as many callers may say them at once, and lose all their answers."""

ENTRIES_MAX = 4_096

_COUNT = b"x-stainless-retry-count"
_COUNT_DIGITS_MAX = 4
_KEY = b"idempotency-key"


class Reply(NamedTuple):
    """A whole reply. `headers`: the provider's, as they came. `output_max`: the ceiling that we named."""

    status: int
    headers: tuple[Pair, ...]
    output_max: int | None
    body: bytes


class Charged(NamedTuple):
    """An attempt, and what it was charged."""

    hold_id: str
    settlement: Settlement


class Attempt(NamedTuple):
    """A request that may repeat an earlier one, or be repeated.

    `call`: what it is an attempt at; without a key, what it shares with every call of the same words.
    `words`: what its body says.
    `earlier`: how many attempts before it may have been at the same call, at most `ATTEMPTS_MAX`.
    """

    call: bytes
    words: bytes
    has_key: bool
    earlier: int


class _Lost(NamedTuple):
    charged: Charged
    at_s: float


class _Entry:
    __slots__ = ("kept_at_s", "lost", "words")

    def __init__(self, words: bytes) -> None:
        self.words = words
        self.kept_at_s = 0.0
        self.lost: list[_Lost] = []


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
    return Attempt(digest.digest(), words, bool(key), ATTEMPTS_MAX if key else _earlier(count or b""))


def _earlier(count: bytes) -> int:
    """What is no count says nothing of earlier attempts."""
    return min(ATTEMPTS_MAX, int(count[:_COUNT_DIGITS_MAX])) if count.isdigit() else 0


def check_words(attempt: Attempt, words: bytes) -> None:
    """Raises Conflict where a key that was given to one call is given to another."""
    if attempt.words != words:
        error = Conflict("The Idempotency-Key was used before with another body. Nothing was sent.")
        error.is_final = True  # official clients would repeat a 409
        raise error


class Retries:
    """The attempts of the last minutes. `now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._replies: OrderedDict[bytes, Reply] = OrderedDict()
        self._bytes = 0

    def reply(self, attempt: Attempt, now_s: float) -> Reply | None:
        """The reply that was kept for the attempt's key, to be given now: its charge stands. Raises Conflict."""
        self._forget(now_s)
        entry = self._entries.get(attempt.call) if attempt.has_key else None
        if entry is None:
            return None
        check_words(attempt, entry.words)
        reply = self._replies.get(attempt.call)
        if reply is not None:
            entry.lost.clear()
        return reply

    def lose(self, attempt: Attempt, charged: Charged, now_s: float) -> None:
        """An attempt was charged although its answer was not delivered."""
        entry = self._entry(attempt, now_s)
        entry.lost = [*entry.lost, _Lost(charged, now_s)][-LOST_MAX:]
        self._forget(now_s)

    def succeed(self, attempt: Attempt, reply: Reply | None, now_s: float) -> list[Charged]:
        """An attempt's answer was delivered, or is kept for its key. What lost ones were charged, to be taken back;
        each is told once.

        reply: to be given to whoever asks again with the key. None: without a key, and where it is too long.
        """
        back = self._taken(attempt, now_s)
        if attempt.has_key:
            self._entry(attempt, now_s).lost.clear()  # what is more than may be taken back stays charged
            self._keep(attempt.call, reply)
        self._forget(now_s)
        return back

    def _taken(self, attempt: Attempt, now_s: float) -> list[Charged]:
        """The last ones, as clients repeat a call within seconds."""
        entry = self._entries.get(attempt.call)
        if entry is None or not attempt.earlier:
            return []
        taken = entry.lost[-attempt.earlier :]
        del entry.lost[-attempt.earlier :]
        if not (entry.lost or attempt.has_key):
            del self._entries[attempt.call]
        return [each.charged for each in taken if each.at_s > now_s - KEPT_S]

    def _keep(self, call: bytes, reply: Reply | None) -> None:
        self._drop_reply(call)
        if reply is not None:
            self._replies[call] = reply
            self._bytes += len(reply.body)

    def _entry(self, attempt: Attempt, now_s: float) -> _Entry:
        entry = self._entries.setdefault(attempt.call, _Entry(attempt.words))
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
