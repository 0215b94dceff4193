"""A hold as a client keeps it: the requests of its life, and how it stands. No I/O: the shells carry them.

One rule for every way out of a block: what was not settled or released stays as it is. The hold runs out and is charged
at its tokens: its call may have been made and billed, whatever was raised on the way. Who knows that it was not says
`release()`. Settling or releasing late puts the charge right, so nothing that was spent is lost.

Where the block does not run, its call was not made, and tokens that may be held for it are let go of. Only under an id
that was made here, though: one that the caller gave may be that of another block, which runs. Such a hold stays; who
enters again under the same id gets it, and one that nobody wants any more runs out and is charged.
"""

import warnings
from collections.abc import Iterable
from typing import TypedDict
from uuid import uuid4

from kvot.client.asking import AGAIN, Asking
from kvot.contract.describe import Response
from kvot.contract.holds import (
    AiChatHoldResponse,
    ReleaseAiChatHold,
    RenewAiChatHold,
    ReserveAiChatTokens,
    SettleAiChatHold,
)
from kvot.core.errors import Conflict, Forbidden, KvotError, NotAuthenticated, NotFound, StoreUnavailable

TTL_S = 120
"""How long a hold outlives a client that is gone. A block that takes longer is renewed while it lasts."""

RENEWALS_PER_TTL = 3
"""One renewal may get lost, and the next still comes in time: none may take longer than half the time between two."""

WITHIN_S = 15.0
"""How long reserving, settling and releasing may take in all, unless the client's `timeout_s` is shorter. The server
answers within milliseconds; a proxy in front of it that restarts is back within seconds."""

LET_GO_WITHIN_S = 2.0
"""How long whoever may not enter its block, or leaves it, is kept waiting for what is only tidying up."""

_ENDED_AGAIN = 5
"""How often settling and releasing are asked again: what a call used is worth some patience."""

_CLOSED = "HoldClosed"
"""The code of what comes too late for a hold."""


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
    """timeout_s: the client's, of any question.

    Times are seconds of a monotonic clock of this machine: the server's may tell any time it likes.
    """

    def __init__(
        self,
        tokens: int,
        timeout_s: float,
        *,
        ttl_s: int = TTL_S,
        hold_id: str | None = None,
        company_id: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user_id: str | None = None,
        feature: str | None = None,
    ) -> None:
        _check_type("ttl_s", ttl_s, int)
        self.id = uuid4().hex if hold_id is None else hold_id
        _check_type("hold_id", self.id, str)
        self.ttl_s = ttl_s
        self._timeout_s = min(timeout_s, WITHIN_S)
        self.renew_at_s = 0.0
        self._is_own_id = hold_id is None
        self._company_id = company_id
        self._open: AiChatHoldResponse | None = None
        self._ended: AiChatHoldResponse | None = None
        self._is_entered = self._is_lost = False
        self._until_s = 0.0
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
    def response(self) -> AiChatHoldResponse | None:
        """What the server said last. What ended the hold stands, whatever a renewal that it overtook says after it."""
        return self._ended or self._open

    def is_open(self, now_s: float) -> bool:
        return self._open is not None and self._ended is None and not self._is_lost and now_s < self._until_s

    # -- reserving -----------------------------------------------------------------------------------------------

    def enter(self, now_s: float) -> Asking:
        """How to ask for the tokens. Raises RuntimeError for a hold that was entered before."""
        if self._is_entered:
            raise RuntimeError(f"The hold {self.id} was entered before: a hold is for one block. Make another.")
        self._is_entered = True
        self._keep_from(now_s)
        return Asking(now_s, min(self._timeout_s, max(self.ttl_s, 1)), AGAIN)

    def reserved(self, response: Response, now_s: float) -> None:
        """Raises StoreUnavailable for a reply so late that the hold may have run out."""
        self._open = _hold(response)
        if not self._is_own_id:  # an earlier block may have made it, and it may be about to run out
            self.renew_at_s = now_s
        if now_s >= self._until_s:
            raise self._ran_out()

    def not_reserved(self, refused: Conflict) -> KvotError:
        """What to raise of a conflict: nobody else closes a hold under an id that was made here."""
        return self._ran_out() if self._is_own_id and refused.code == _CLOSED else refused

    def must_let_go(self, asking: Asking) -> bool:
        """Whether tokens may be held for a block that will not run, and for that block alone."""
        return self._is_own_id and asking.may_be_done

    def let_go(self, now_s: float) -> Asking:
        return Asking(now_s, LET_GO_WITHIN_S, AGAIN, also_not_found=True)

    def _ran_out(self) -> StoreUnavailable:
        return StoreUnavailable(f"The hold {self.id} ran out before the server's reply came: nothing is held for it.")

    # -- renewing ------------------------------------------------------------------------------------------------

    @property
    def renew_every_s(self) -> float:
        return self.ttl_s / RENEWALS_PER_TTL

    @property
    def renew_within_s(self) -> float:
        return min(self._timeout_s, self.renew_every_s / 2)

    def renew(self, now_s: float) -> RenewAiChatHold:
        """The renewal that begins now. The next is counted from its begin, however it goes."""
        self.renew_at_s = now_s + self.renew_every_s
        return RenewAiChatHold(company_id=self._company_id, hold_id=self.id, ttl_seconds=self.ttl_s)

    def renewed(self, response: Response, asked_s: float) -> None:
        self._open = _hold(response)
        self._keep_from(asked_s)

    def not_renewed(self, error: KvotError) -> bool:
        """Whether to ask no more. Whatever is not plainly about the hold or the key may pass before the next time."""
        self._is_lost = self._is_lost or isinstance(error, NotFound) or error.code == _CLOSED
        return self._is_lost or isinstance(error, NotAuthenticated | Forbidden)

    def _keep_from(self, asked_s: float) -> None:
        """The server keeps the tokens for as long from when it was asked at the earliest."""
        self._until_s = asked_s + self.ttl_s
        self.renew_at_s = asked_s + self.renew_every_s

    # -- ending --------------------------------------------------------------------------------------------------

    @property
    def releasing(self) -> ReleaseAiChatHold:
        return ReleaseAiChatHold(company_id=self._company_id, hold_id=self.id)

    def settling(self, tokens_used: int, figures: Figures) -> SettleAiChatHold:
        return SettleAiChatHold(company_id=self._company_id, hold_id=self.id, tokens_used=tokens_used, **figures)

    def end(self, now_s: float) -> Asking:
        return Asking(now_s, self._timeout_s, _ENDED_AGAIN)

    def ended(self, response: Response) -> AiChatHoldResponse:
        self._ended = _hold(response)
        return self._ended

    def leave(self, error: BaseException | None) -> None:
        """What is left to say when a block ends."""
        if error is None and self._open is not None and self._ended is None and not self._is_lost:
            message = f"The hold {self.id} was not settled: it will be charged at {self.reserving.tokens} tokens."
            warnings.warn(message, UnsettledHold, stacklevel=3)


def _hold(response: Response) -> AiChatHoldResponse:
    assert isinstance(response, AiChatHoldResponse), "it is read as what its operation answers with"
    return response


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
