"""Which company made which of the replies that a provider stores, so that no other company can name them.

A provider hands a stored reply out to whoever names its id under the same key. Here is the id alone, whose it is, and
how many tokens a call reads that goes on from it, never the reply. It is a part of the company's ledger: remembering is
a write to it like any other.
"""

from typing import NamedTuple, Protocol

from kvot.core.window import MS_PER_DAY

REPLIES_KEPT_MS = 31 * MS_PER_DAY
"""OpenAI and xAI, the only ones known to store replies, keep them for 30 days; a day more for clocks that differ."""

FORGOTTEN_AT_ONCE_MAX = 10
"""With each reply that is remembered: more than come, so that none stays for long, and few enough to cost nothing."""


class StoredReply(NamedTuple):
    """A reply that `provider` stores under `reply_id`. `at_ms`: the company's clock when it was last remembered.

    tokens: input and output of the call that made it, which is the most that a call reads which goes on from it; None:
    unknown, as its provider gave no final figures.
    """

    provider: str
    reply_id: str
    at_ms: int
    tokens: int | None = None


class StoredReplyStore(Protocol):
    """Where they are kept, each for REPLIES_KEPT_MS from when it was last remembered.

    Raises StoreUnavailable, and nothing else, when the engine cannot answer.
    """

    async def remember_reply(
        self, company_id: str, provider: str, reply_id: str, *, tokens: int | None = None, now_ms: int
    ) -> None:
        """Durable when it returns; of one that was remembered before, what is said now holds.

        Of the company's that are older than they are kept, the FORGOTTEN_AT_ONCE_MAX oldest are let go; `Store.prune`
        lets go of all of them.
        """
        ...

    async def find_reply(self, company_id: str, provider: str, reply_id: str, *, now_ms: int) -> StoredReply | None:
        """What the company made, as far as it is still kept. That of another company is not there."""
        ...
