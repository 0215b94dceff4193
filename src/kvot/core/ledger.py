"""The ledger: checks what it is given, reads its clock once per operation, and asks the store.

It knows the rules that are the same for every engine; the engines know how to keep numbers. Nothing here does I/O
of its own. Every method raises InvalidRequest for values that no engine should see, and what the store raises.
"""

from collections.abc import Awaitable, Callable, Sequence

from kvot.core.budget import TOKEN_LIMIT_MAX, Budget, PartialBudget, Rules
from kvot.core.errors import InvalidRequest
from kvot.core.faults import display_name, fault, length_fault
from kvot.core.model import (
    HOLD_TTL_MAX_MS,
    ID_LENGTH_MAX,
    NO_DETAIL,
    RECEIPT_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    TOKENS_MAX,
    CallDetail,
    CompanyBudget,
    Correction,
    Decision,
    EventColumns,
    Hold,
    HoldChange,
    HoldEnd,
    NewEvent,
    NewHold,
    Pruned,
    Recorded,
    Series,
    Settlement,
    Share,
    SharedVerification,
    Status,
    Usage,
    Verification,
    described,
)
from kvot.core.store import OnEvents, Store, ignore, unheld_event_id
from kvot.core.window import INSTANT_MAX, MS_PER_DAY

SERIES_EDGES_MAX = 2_000
"""Points in one series: more than a chart can show, and under 50 ms of seeks."""

OPEN_HOLDS_MAX = 1_001
"""Of one list: more than a person reads, and one beyond what a page of it shows. Some milliseconds to read."""

BREAKDOWNS = ("provider", "model", "user", "feature", "source")


class Ledger:
    """All that can be asked of the ledgers of all companies. `clock` gives milliseconds since the epoch."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    @property
    def rules(self) -> Rules:
        return self._store.rules

    def now_ms(self) -> int:
        return self._clock()

    # -- usage ---------------------------------------------------------------------------------------------------

    async def record(self, company_id: str, event: NewEvent) -> Recorded:
        check_event(event)
        return await self._store.record(company_id, event, now_ms=self._clock())

    async def record_many(self, events: EventColumns) -> list[Status]:
        """Record a batch; every event must have passed `check_event` (a batch reports its own bad lines)."""
        return await self._store.record_many(events, now_ms=self._clock())

    async def correct(self, company_id: str, correction: Correction) -> Recorded:
        _check_id("EventId", correction.event_id)
        if not -TOKENS_MAX <= correction.tokens <= TOKENS_MAX:
            raise _out_of_bounds("Tokens", correction.tokens, -TOKENS_MAX, TOKENS_MAX)
        _check_text("Reason", correction.reason)
        return await self._store.correct(company_id, correction, now_ms=self._clock())

    async def usage(self, company_id: str, *, at_ms: int | None = None, window_ms: int | None = None) -> Usage:
        if at_ms is not None:
            _check_instant("At", at_ms)
        if window_ms is not None:
            self._check_window(window_ms)
        return await self._store.usage(company_id, now_ms=self._clock(), at_ms=at_ms, window_ms=window_ms)

    async def series(self, company_id: str, edges_ms: Sequence[int], *, window_ms: int | None = None) -> Series:
        if not 1 <= len(edges_ms) <= SERIES_EDGES_MAX:
            raise _out_of_bounds("Edges", len(edges_ms), 1, SERIES_EDGES_MAX)
        for edge_ms in edges_ms:
            _check_instant("Edges", edge_ms)
        if window_ms is not None:
            self._check_window(window_ms)
        ordered = sorted(edges_ms)
        return await self._store.series(company_id, ordered, now_ms=self._clock(), window_ms=window_ms)

    async def breakdown(self, company_id: str, by: str, *, first_hour: int, end_hour: int) -> list[Share]:
        if by not in BREAKDOWNS:
            words = f"'By' must be one of {', '.join(BREAKDOWNS)}."
            raise InvalidRequest.of_fields([fault("By", "Enum", by, words)])
        return await self._store.breakdown(
            company_id, by, first_hour=first_hour, end_hour=end_hour, now_ms=self._clock()
        )

    async def fits_at(self, company_id: str, tokens: int) -> int | None:
        _check_tokens("Tokens", tokens)
        return await self._store.fits_at(company_id, tokens, now_ms=self._clock())

    # -- holds ---------------------------------------------------------------------------------------------------

    async def reserve(self, company_id: str, hold: NewHold, *, is_alone: bool = False) -> Decision:
        _check_id("HoldId", hold.hold_id)
        _check_tokens("Tokens", hold.amount)
        _check_ttl(hold.ttl_ms)
        _check_labels(hold.provider, hold.model, hold.user, hold.feature)
        return await self._store.reserve(company_id, hold, now_ms=self._clock(), is_alone=is_alone)

    async def dispatch(self, company_id: str, hold_id: str) -> HoldChange:
        _check_id("HoldId", hold_id)
        return await self._store.dispatch(company_id, hold_id, now_ms=self._clock())

    async def renew(self, company_id: str, hold_id: str, ttl_ms: int) -> HoldChange:
        _check_id("HoldId", hold_id)
        _check_ttl(ttl_ms)
        return await self._store.renew(company_id, hold_id, ttl_ms, now_ms=self._clock())

    async def settle(self, company_id: str, hold_id: str, settlement: Settlement) -> HoldChange:
        _check_settlement(hold_id, settlement)
        return await self._store.settle(company_id, hold_id, settlement, now_ms=self._clock())

    @property
    def settles_soon(self) -> bool:
        return self._store.settles_soon

    def settle_soon(self, company_id: str, hold_id: str, settlement: Settlement) -> Awaitable[HoldChange]:
        """For whoever need not wait until it is durable: see the store's."""
        _check_settlement(hold_id, settlement)
        return self._store.settle_soon(company_id, hold_id, settlement, now_ms=self._clock())

    async def record_unheld(self, company_id: str, hold_id: str, hold: Hold | None, settlement: Settlement) -> Recorded:
        """Count what the call of a hold used that cannot be settled any more: somebody released it, or it is gone.

        Once, however often it is asked for: the event's id is `unheld_event_id(hold_id)`, which no client can name.
        hold: as it was found, for its labels.
        """
        _check_settlement(hold_id, settlement)
        detail = settlement.detail if hold is None else described(hold, settlement.detail)
        counted = (settlement.tokens, None, settlement.source, detail, settlement.receipt)
        event = NewEvent(unheld_event_id(hold_id), *counted)
        return await self._store.record(company_id, event, now_ms=self._clock())

    async def release(self, company_id: str, hold_id: str, *, actor: str | None = None) -> HoldChange:
        """Drop a hold. `actor`: whose decision it is, for the audit log; see the store's."""
        _check_id("HoldId", hold_id)
        return await self._store.release(company_id, hold_id, actor=actor, now_ms=self._clock())

    async def hold(self, company_id: str, hold_id: str) -> HoldChange:
        _check_id("HoldId", hold_id)
        return await self._store.hold(company_id, hold_id, now_ms=self._clock())

    async def open_holds(self, company_id: str, *, limit: int) -> list[Hold]:
        if not 1 <= limit <= OPEN_HOLDS_MAX:
            raise _out_of_bounds("MaxResults", limit, 1, OPEN_HOLDS_MAX)
        return await self._store.open_holds(company_id, limit=limit, now_ms=self._clock())

    async def tagged_holds(self, company_id: str, tags: Sequence[str], *, within_ms: int, limit: int) -> list[HoldEnd]:
        now_ms = self._clock()
        return await self._store.tagged_holds(company_id, tags, within_ms=within_ms, limit=limit, now_ms=now_ms)

    async def expire(self, company_id: str | None = None) -> int:
        return await self._store.expire(company_id, now_ms=self._clock())

    # -- budgets -------------------------------------------------------------------------------------------------

    async def set_budget(
        self, company_id: str, budget: Budget | PartialBudget, *, actor: str, reason: str | None
    ) -> CompanyBudget:
        token_limit, window_days = budget
        if token_limit is not None and not 0 <= token_limit <= TOKEN_LIMIT_MAX:
            raise _out_of_bounds("TokenLimit", token_limit, 0, TOKEN_LIMIT_MAX)
        if window_days is not None and not 1 <= window_days <= self.rules.retention_days:
            raise _out_of_bounds("WindowDays", window_days, 1, self.rules.retention_days)
        _check_text("Reason", reason)
        return await self._store.set_budget(company_id, budget, actor=actor, reason=reason, now_ms=self._clock())

    async def budget(self, company_id: str, *, at_ms: int | None = None) -> CompanyBudget:
        if at_ms is not None:
            _check_instant("At", at_ms)
        return await self._store.budget(company_id, now_ms=self._clock(), at_ms=at_ms)

    # -- keeping -------------------------------------------------------------------------------------------------

    async def companies(self) -> list[str]:
        return await self._store.companies()

    async def prune(self, company_id: str, before_ms: int | None = None, *, on_events: OnEvents = ignore) -> Pruned:
        """Forget what is older than retention, or before an instant that is older still."""
        now_ms = self._clock()
        limit_ms = now_ms - self.rules.retention_ms
        before_ms = limit_ms if before_ms is None else min(before_ms, limit_ms)
        return await self._store.prune(company_id, before_ms, now_ms=now_ms, on_events=on_events)

    async def verify(self, company_id: str) -> Verification:
        return await self._store.verify(company_id, now_ms=self._clock())

    async def verify_shared(self, company_id: str | None = None) -> SharedVerification:
        """What no ledger by itself can prove: of one company its clock; of all also stray rows and the audit log."""
        return await self._store.verify_shared(company_id, now_ms=self._clock())

    async def ready(self) -> None:
        await self._store.ready()

    def _check_window(self, window_ms: int) -> None:
        if not 1 <= window_ms <= self.rules.retention_ms:
            longest_days = self.rules.retention_days
            raise _out_of_bounds("WindowDays", window_ms // MS_PER_DAY, 1, longest_days)


def check_event(event: NewEvent) -> None:
    """Raise InvalidRequest, naming the field, for an event that no ledger can hold."""
    _check_id("Id", event.event_id)
    if not 1 <= event.tokens <= TOKENS_MAX:
        raise _out_of_bounds("Tokens", event.tokens, 1, TOKENS_MAX)
    if event.at_ms is not None:
        _check_instant("At", event.at_ms)
    _check_detail(event.detail)
    _check_receipt(event.receipt)


def _check_settlement(hold_id: str, settlement: Settlement) -> None:
    _check_id("HoldId", hold_id)
    _check_tokens("TokensUsed", settlement.tokens)
    _check_detail(settlement.detail)
    _check_receipt(settlement.receipt)


def _check_receipt(receipt: str | None) -> None:
    if receipt is not None and len(receipt) > RECEIPT_LENGTH_MAX:
        raise InvalidRequest.of_fields([length_fault("Receipt", receipt, 0, RECEIPT_LENGTH_MAX)])


def _check_detail(detail: CallDetail) -> None:
    if detail == NO_DETAIL:
        return
    provider, model, user, feature, *parts = detail
    _check_labels(provider, model, user, feature)
    for field, tokens in zip(_PARTS, parts, strict=True):
        if tokens is not None:
            _check_tokens(field, tokens)


_PARTS = ("InputTokens", "OutputTokens", "CachedTokens", "ReasoningTokens")


def _check_labels(provider: str | None, model: str | None, user: str | None, feature: str | None) -> None:
    _check_text("Provider", provider)
    _check_text("Model", model)
    _check_text("User", user)
    _check_text("Feature", feature)


def _check_id(field: str, value: str) -> None:
    """Ids are visible ASCII, as Idempotency-Key headers can carry them; a space or a control character is neither."""
    if not 1 <= len(value) <= ID_LENGTH_MAX:
        raise InvalidRequest.of_fields([length_fault(field, value, 1, ID_LENGTH_MAX)])
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise InvalidRequest.of_fields([fault(field, "RegularExpression", value)])


def _check_text(field: str, value: str | None) -> None:
    """Whatever has a form in UTF-8, since no engine keeps anything else: half a pair of surrogates has none."""
    if value is None:
        return
    if len(value) > TEXT_LENGTH_MAX:
        raise InvalidRequest.of_fields([length_fault(field, value, 0, TEXT_LENGTH_MAX)])
    try:
        value.encode()
    except UnicodeEncodeError:
        shown = value.encode(errors="backslashreplace").decode()
        message = f"'{display_name(field)}' is not in the correct format: it has bytes that are not UTF-8."
        raise InvalidRequest.of_fields([fault(field, "RegularExpression", shown, message)]) from None


def _check_tokens(field: str, tokens: int) -> None:
    if not 0 <= tokens <= TOKENS_MAX:
        raise _out_of_bounds(field, tokens, 0, TOKENS_MAX)


def _check_ttl(ttl_ms: int) -> None:
    if not 1 <= ttl_ms <= HOLD_TTL_MAX_MS:
        raise _out_of_bounds("TtlMs", ttl_ms, 1, HOLD_TTL_MAX_MS)


def _check_instant(field: str, at_ms: int) -> None:
    if not 1 <= at_ms <= INSTANT_MAX:
        raise _out_of_bounds(field, at_ms, 1, INSTANT_MAX)


def _out_of_bounds(field: str, value: int, least: int, most: int) -> InvalidRequest:
    return InvalidRequest.of_fields([fault(field, "InclusiveBetween", value, From=least, To=most)])
