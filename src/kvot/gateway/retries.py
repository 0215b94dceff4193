"""What official clients do when an answer did not reach them: they send the same call again. It is not charged again.

A repeated call is known by whose it is, the address and the body, and by the `Idempotency-Key` or the count of retries
that the client sends. If the first answer was whole it is given again, and no provider is asked. If of an earlier
attempt nothing was delivered, what it was charged on suspicion is taken back once the call has come through.

Kept in memory, within bounds, for the minutes in which clients retry; never written anywhere.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kvot.gateway.dialect import Pair

KEPT_S = 300.0
"""Longer than official clients go on retrying at their defaults."""

REPLY_BYTES_MAX = 262_144
REPLIES_BYTES_MAX = 16_777_216
"""All kept replies together; the oldest go first. A retry that finds its reply gone is a call like any other."""

ATTEMPTS_MAX = 2
"""Attempts that can be taken back: clients retry twice. More would be a way to have input read for nothing."""

ENTRIES_MAX = 4_096

_COUNT = b"x-stainless-retry-count"
_KEY = b"idempotency-key"


class Reply(NamedTuple):
    """A whole reply as it went to the client."""

    status: int
    headers: tuple[Pair, ...]
    body: bytes


class Charged(NamedTuple):
    """An attempt of which nothing was delivered, and what it was charged all the same."""

    hold_id: str
    tokens: int


class Attempt(NamedTuple):
    """Which call a request is an attempt at. `is_repeated`: the client says that it has tried before, or may have."""

    key: bytes
    is_repeated: bool


class _Entry:
    __slots__ = ("charged", "kept_at_s", "reply")

    def __init__(self, kept_at_s: float) -> None:
        self.kept_at_s = kept_at_s
        self.reply: Reply | None = None
        self.charged: list[Charged] = []


def attempt(whose: Sequence[str], address: str, headers: Mapping[bytes, bytes], body: bytes) -> Attempt | None:
    """None for a client that says nothing by which a retry could be known.

    whose: the credential, and the company that it acts for. address: where the call goes, its query included.
    """
    count, key = headers.get(_COUNT), headers.get(_KEY, b"")
    if count is None and not key:
        return None
    digest = hashlib.sha256(body)
    for part in (*(each.encode() for each in whose), address.encode(), key):
        digest.update(b"\0" + hashlib.sha256(part).digest())
    return Attempt(digest.digest(), bool(key) or count not in (None, b"0"))


class Retries:
    """The attempts of the last minutes. `now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._bytes = 0

    def reply(self, attempt: Attempt, now_s: float) -> Reply | None:
        """The reply to an earlier attempt, to be given again."""
        self._forget(now_s)
        entry = self._entries.get(attempt.key) if attempt.is_repeated else None
        return entry.reply if entry is not None else None

    def keep(self, attempt: Attempt, reply: Reply, now_s: float) -> None:
        if len(reply.body) > REPLY_BYTES_MAX:
            return
        entry = self._entry(attempt, now_s)
        self._bytes += len(reply.body) - _size(entry)
        entry.reply = reply
        self._forget(now_s)

    def suspect(self, attempt: Attempt, charged: Charged, now_s: float) -> None:
        """Remember an attempt that was charged although nothing of it was delivered."""
        entry = self._entry(attempt, now_s)
        entry.charged = [*entry.charged, charged][-ATTEMPTS_MAX:]

    def take_back(self, attempt: Attempt) -> list[Charged]:
        """The earlier attempts at a call that has now come through; each is told once."""
        entry = self._entries.get(attempt.key) if attempt.is_repeated else None
        if entry is None:
            return []
        charged, entry.charged = entry.charged, []
        return charged

    def _entry(self, attempt: Attempt, now_s: float) -> _Entry:
        """A first attempt begins anew: the same words said again on purpose are another call."""
        entry = self._entries.get(attempt.key)
        if entry is None or not attempt.is_repeated:
            if entry is not None:
                self._drop(attempt.key)
            entry = self._entries[attempt.key] = _Entry(now_s)
        return entry

    def _forget(self, now_s: float) -> None:
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            is_over = self._bytes > REPLIES_BYTES_MAX or len(self._entries) > ENTRIES_MAX
            if not is_over and oldest.kept_at_s > now_s - KEPT_S:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        self._bytes -= _size(self._entries.pop(key))


def _size(entry: _Entry) -> int:
    return 0 if entry.reply is None else len(entry.reply.body)
