"""A hold as a client keeps it: the requests of its life, and how it stands. No I/O: the shells carry them.

One rule for every way out of a block: what was not settled or released stays as it is. The hold runs out and is charged
at its tokens: its call may have been made and billed, whatever was raised on the way. Who knows that it was not says
`release()`. Settling or releasing late puts the charge right, so nothing that was spent is lost.
"""

import warnings
from collections.abc import Iterable
from typing import TypedDict
from uuid import uuid4

from kvot.contract.describe import Response
from kvot.contract.holds import (
    AiChatHoldResponse,
    ReleaseAiChatHold,
    RenewAiChatHold,
    ReserveAiChatTokens,
    SettleAiChatHold,
)

TTL_S = 120
"""How long a hold outlives a client that is gone. A block that takes longer is renewed while it lasts."""

RENEWALS_PER_TTL = 3
"""One renewal may get lost, and the next still comes in time."""


class UnsettledHold(UserWarning):
    """A block ended well, but never said what its call used: the hold is charged at its tokens."""


class HoldOptions(TypedDict, total=False):
    """What may be said of a hold. `hold_id`: made if it is left out; give one to reserve the same hold again."""

    hold_id: str
    ttl_s: int
    company_id: str
    model: str
    provider: str
    user_id: str
    feature: str


class Figures(TypedDict, total=False):
    """What may be said of a settlement beside its sum. `source`: "reported" (the default), "estimated" or "partial"."""

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    source: str | None


def check_names(method: str, given: Iterable[str], known: frozenset[str]) -> None:
    """Raise TypeError as Python does for a name that a method does not take."""
    for name in given:
        if name not in known:
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")


OPTIONS = frozenset(HoldOptions.__annotations__)
FIGURES = frozenset(Figures.__annotations__)


class HoldLife:
    """`response` is what the server said last: when it reserved, then when it settled or released."""

    def __init__(
        self,
        tokens: int,
        *,
        ttl_s: int = TTL_S,
        hold_id: str | None = None,
        company_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user_id: str | None = None,
        feature: str | None = None,
    ) -> None:
        self.id = uuid4().hex if hold_id is None else hold_id
        self.ttl_s = ttl_s
        self.response: AiChatHoldResponse | None = None
        self._company_id = company_id
        self.reserving = ReserveAiChatTokens(
            company_id=company_id,
            hold_id=self.id,
            tokens=tokens,
            ttl_seconds=ttl_s,
            model=model,
            provider=provider,
            user_id=user_id,
            feature=feature,
        )

    @property
    def renew_every_s(self) -> float:
        return self.ttl_s / RENEWALS_PER_TTL

    @property
    def renewing(self) -> RenewAiChatHold:
        return RenewAiChatHold(company_id=self._company_id, hold_id=self.id, ttl_seconds=self.ttl_s)

    @property
    def releasing(self) -> ReleaseAiChatHold:
        return ReleaseAiChatHold(company_id=self._company_id, hold_id=self.id)

    def settling(self, tokens_used: int, figures: Figures) -> SettleAiChatHold:
        return SettleAiChatHold(company_id=self._company_id, hold_id=self.id, tokens_used=tokens_used, **figures)

    def took(self, response: Response) -> AiChatHoldResponse:
        assert isinstance(response, AiChatHoldResponse)
        self.response = response
        return response

    def leave(self, error: BaseException | None) -> None:
        """What is left to say when a block ends."""
        is_open = self.response is not None and self.response.hold_state == "open"
        if error is None and is_open:
            message = f"The hold {self.id} was not settled: it will be charged at {self.reserving.tokens} tokens."
            warnings.warn(message, UnsettledHold, stacklevel=3)
