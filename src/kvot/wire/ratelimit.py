"""A budget as header fields, and a refusal as text by name: what every door says of a limit, and a client reads back.

The fields are those of the IETF draft "RateLimit header fields for HTTP" (httpapi-ratelimit-headers-10). Tokens are no
registered unit of its `qu`, so a parameter of our own says what is counted.
"""

from collections.abc import Mapping
from typing import Protocol

from kvot.core.errors import BudgetExceeded, Refusal, whole_seconds
from kvot.core.model import Usage
from kvot.core.window import MS_PER_DAY, MS_PER_SECOND
from kvot.wire.scalars import instant, shortest_date

POLICY = "budget"
"""The name of the one policy that there is: a company's budget."""

_S_PER_DAY = MS_PER_DAY // MS_PER_SECOND


class Told(Protocol):
    """Whatever tells a company's usage with what is held: the ledger's own, or a response."""

    @property
    def tokens_used(self) -> int: ...
    @property
    def tokens_held(self) -> int: ...
    @property
    def token_limit(self) -> int: ...
    @property
    def is_within_budget(self) -> bool: ...
    @property
    def window_days(self) -> int: ...


def available(usage: Told) -> int:
    """The most that a new hold can get. None while the company is not within budget, for whatever reason."""
    return max(0, usage.token_limit - usage.tokens_used - usage.tokens_held) if usage.is_within_budget else 0


def fields_of(usage: Told, retry_after_s: int | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """RateLimit-Policy and RateLimit. `retry_after_s`: when to ask again, after a refusal."""
    policy = f'"{POLICY}";q={usage.token_limit};w={usage.window_days * _S_PER_DAY};kvot-unit="tokens"'
    until = "" if retry_after_s is None else f";t={retry_after_s}"
    limit = f'"{POLICY}";r={available(usage)}{until}'
    return (b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())


def to_meta(error: BudgetExceeded) -> dict[str, str]:
    """A refusal as it stands in `responseStatus.meta`, where all values are text."""
    usage = error.usage
    meta = {
        "Reason": error.refusal.value,
        "Tokens": str(error.tokens),
        "CompanyId": usage.company_id,
        "At": shortest_date(usage.at_ms),
        "TokensUsed": str(usage.tokens_used),
        "TokensHeld": str(usage.tokens_held),
        "TokenLimit": str(usage.token_limit),
        "TokensRemaining": str(usage.tokens_remaining),
        "TokensAvailable": str(available(usage)),
        "IsWithinBudget": "true" if usage.is_within_budget else "false",
        "WindowDays": str(usage.window_days),
    }
    if error.fits_after_ms is not None:
        meta["FitsAfterSeconds"] = str(whole_seconds(error.fits_after_ms))
    if error.retry_after_s is not None:
        meta["RetryAfterSeconds"] = str(error.retry_after_s)
    return meta


def from_meta(message: str, meta: Mapping[str, str]) -> BudgetExceeded:
    """The refusal that `to_meta` wrote down. Raises KeyError or ValueError for anything else."""
    refusal = Refusal(meta["Reason"])
    usage = Usage(
        meta["CompanyId"],
        instant(meta["At"]).ms,
        int(meta["WindowDays"]) * MS_PER_DAY,
        int(meta["TokensUsed"]),
        int(meta["TokensHeld"]),
        int(meta["TokenLimit"]),
        in_doubt=refusal is Refusal.IN_DOUBT,
    )
    return BudgetExceeded(
        message,
        tokens=int(meta["Tokens"]),
        usage=usage,
        refusal=refusal,
        fits_after_ms=_ms_of(meta.get("FitsAfterSeconds")),
        soon_ms=_ms_of(meta.get("RetryAfterSeconds")),
    )


def _ms_of(seconds: str | None) -> int | None:
    return None if seconds is None else int(seconds) * MS_PER_SECOND
