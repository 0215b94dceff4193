"""What can go wrong, by whose fault.

KvotError
├── InvalidRequest          the caller's fault; carries every field error
│   └── RequestTooLarge     the same, for a size bound
├── NotAuthenticated        401
│   └── TokenRejected       401 for a token that was ours once: expired, not yet valid, wrong audience
├── Forbidden               403
├── NotFound                404
├── MethodNotAllowed        405
├── Conflict                409
├── TooManyRequests         429
├── BudgetExceeded          429: tokens that do not fit, with what is used and held, and the wait
├── StoreUnavailable        ours; 503 with Retry-After; safe to repeat with the same id
├── KeyUnreadable           ours; 500: a company's own key to a provider is kept but does not open
├── ProviderKeyRefused      401: a company's own key to a provider is not one that the provider accepts
└── ProviderFailed          theirs; carries the provider and its status

A refusal of the ledger is not an error but a value: see `Status` in `kvot.core.model`. It becomes one where it is told
to a caller whose reply has no room for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zlib import crc32

from kvot.core.model import Usage
from kvot.core.window import MS_PER_SECOND


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field. `meta` holds the values that the message names, as text."""

    field: str
    code: str
    message: str
    meta: Mapping[str, str] | None = None


def whole_seconds(wait_ms: int) -> int:
    """A wait in seconds, rounded up so that it is never too short; at least one."""
    return max(1, -(-wait_ms // MS_PER_SECOND))


class KvotError(Exception):
    """Any failure that Kvot foresees. `code` is stable and for programs, `message` is for people.

    `retry_after_ms`: how long until the same may succeed; None where waiting does not help, or nobody knows.
    `is_final`: the same will fail again, although its status makes clients believe that to repeat it may help.
    """

    code = "KvotError"
    retry_after_ms: int | None = None
    is_final = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as it stands, not by calling a constructor: a worker's error comes back as it was."""
        return _made_again, (type(self), self.args), vars(self)

    @property
    def retry_after_s(self) -> int | None:
        """The same in whole seconds, as `Retry-After` says it."""
        return None if self.retry_after_ms is None else whole_seconds(self.retry_after_ms)


def _made_again(kind: type[KvotError], args: tuple[object, ...]) -> KvotError:
    return kind.__new__(kind, *args)


class InvalidRequest(KvotError):
    """The request cannot be carried out as sent. `fields` names every fault that was found, in order."""

    code = "InvalidRequest"

    def __init__(self, message: str, *, code: str | None = None, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message, code=code)
        self.fields = tuple(fields)

    def __str__(self) -> str:
        """For whoever prints the exception alone: what is wrong with each field stands behind the message."""
        told = [each.message for each in self.fields if each.message not in self.message]
        return f"{self.message.rstrip('.')}: {'; '.join(told)}" if told else self.message

    @classmethod
    def of_fields(cls, fields: Sequence[FieldError]) -> "InvalidRequest":
        """The first field error speaks for the whole, as ServiceStack's validators do."""
        return cls(fields[0].message, code=fields[0].code, fields=fields)


def beyond_retention(floor_ms: int) -> InvalidRequest:
    """Of a read that asks for more than is kept: detail at or before the floor was forgotten."""
    floor = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=floor_ms)).replace(tzinfo=None)
    message = f"Detail at or before {floor.isoformat(timespec='milliseconds')}Z is no longer kept."
    return InvalidRequest(message, code="BeyondRetention")


class RequestTooLarge(InvalidRequest):
    code = "RequestTooLarge"


class NotAuthenticated(KvotError):
    code = "Unauthorized"

    def __init__(self, message: str = "Not Authenticated", *, code: str | None = None) -> None:
        super().__init__(message, code=code)


class TokenRejected(NotAuthenticated):
    code = "TokenException"


class Forbidden(KvotError):
    code = "Forbidden"


class NotFound(KvotError):
    code = "NotFound"


class MethodNotAllowed(KvotError):
    code = "NotImplementedException"


class Conflict(KvotError):
    code = "Conflict"


class TooManyRequests(KvotError):
    code = "TooManyRequests"

    def __init__(self, message: str, *, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms: int = retry_after_ms


class Refusal(StrEnum):
    """Why tokens were not set aside."""

    OPEN_HOLDS = "OpenHolds"  # they fit beside what is used: only calls that have not ended are in their way
    OVER_LIMIT = "OverLimit"  # they do not fit beside what is used or comes; they will when some of it is a window old
    ABOVE_LIMIT = "AboveLimit"  # they are more than the limit: they never fit
    IN_DOUBT = "InDoubt"  # the company's ledger failed verification: nothing is admitted until it is proved


HOLDS_WAIT_MIN_MS = 500
HOLDS_WAIT_MAX_MS = 3_000
"""When to ask again where open holds alone are in the way: not before another call can have ended, and soon, since what
they leave is free at once. Who asks twice more, as official clients do, then asks for up to six seconds."""


def holds_wait_ms(hold_id: str) -> int:
    """When to ask again where open holds alone are in the way, by the id of the hold that was refused.

    Many calls that are refused in one moment would all come back in another, and most be refused again. Ids are made by
    chance, so to go by them spreads the calls out; one that asks again under a new id waits another while.
    """
    return HOLDS_WAIT_MIN_MS + crc32(hold_id.encode()) % (HOLDS_WAIT_MAX_MS - HOLDS_WAIT_MIN_MS + 1)


def refusal_of(usage: Usage, tokens: int) -> Refusal:
    """Why so many tokens do not fit, when they do not.

    Where they would fit beside all that is used and held, events ahead of the clock are in their way: those count for
    admission at once, and are told as used when their time comes. Then no call's end would help.
    """
    if usage.in_doubt:
        return Refusal.IN_DOUBT
    if tokens > usage.token_limit:
        return Refusal.ABOVE_LIMIT
    used = usage.tokens_used + tokens
    return Refusal.OPEN_HOLDS if used <= usage.token_limit < used + usage.tokens_held else Refusal.OVER_LIMIT


def wait_ms(fits_after_ms: int | None, soon_ms: int | None) -> int | None:
    """How long to wait before the same tokens are asked for again, at most until they certainly fit.

    soon_ms: see `holds_wait_ms`; None where more than open holds is in the way.

    An open hold may in the worst case be charged when it runs out, and its tokens come back a window later. Nearly all
    are settled for less, or released, within seconds: nobody is to wait a month for them.
    """
    return fits_after_ms if fits_after_ms is None or soon_ms is None else min(fits_after_ms, soon_ms)


class BudgetExceeded(KvotError):
    """Tokens that were asked for and do not fit.

    `fits_after_ms`: how long until they certainly fit if nothing else is spent; None: waiting cannot help.
    `retry_after_ms`: when to ask again; sooner (`soon_ms`), where open holds alone are in the way.
    """

    code = "BudgetExceeded"

    def __init__(
        self,
        message: str,
        *,
        tokens: int,
        usage: Usage,
        refusal: Refusal,
        fits_after_ms: int | None,
        soon_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.tokens = tokens
        self.usage = usage
        self.refusal = refusal
        self.fits_after_ms = fits_after_ms
        self.retry_after_ms = wait_ms(fits_after_ms, soon_ms if refusal is Refusal.OPEN_HOLDS else None)


OUTCOME_UNKNOWN = "Whether it was done is unknown: repeat it with the same id."
"""How a store's message ends where that is so, word for word: whoever knows the id says it better."""


class StoreUnavailable(KvotError):
    """The ledger could not answer. Whether a write happened is unknown, repeat it with the same id; but with
    `did_nothing` the store knows that none did.

    The message is for whoever runs Kvot, and may name the database's file or address. `in_public` is what anybody may
    read: it names neither, and says no more than was meant for that.
    """

    code = "StoreUnavailable"

    def __init__(
        self,
        message: str,
        *,
        retry_after_ms: int = 1_000,
        in_public: str = "The database cannot be used.",
        did_nothing: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_ms: int = retry_after_ms
        self.in_public = in_public
        self.did_nothing = did_nothing

    @classmethod
    def of(cls, shown: str, what: str, *, did_nothing: bool = False) -> "StoreUnavailable":
        """`shown`: the database, by its file or address. `what` is wrong with it, and what to do: names neither."""
        return cls(f"{shown} {what}", in_public=f"The database {what}", did_nothing=did_nothing)


class KeyUnreadable(KvotError):
    """A company's own key to a provider is kept but does not open: the secret is another one than it was sealed under,
    or the row is not what was written. No other key may stand in for it: the company did not choose that one."""

    code = "KeyUnreadable"
    is_final = True

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"The company's own key to {provider} cannot be read, so nothing was sent. Set it anew, or remove it."
        )


class ProviderKeyRefused(KvotError):
    """The provider does not accept a company's own key. Its client must hear so, and that it is not the key to Kvot."""

    code = "ProviderKeyRefused"
    is_final = True

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"The provider {provider} does not accept the company's own key to it, which is kept here. The key to Kvot "
            "is not at fault: the company's key to the provider has to be set anew, or removed."
        )


class ProviderFailed(KvotError):
    code = "ProviderFailed"

    def __init__(self, message: str, *, provider: str, status: int | None = None, is_final: bool = False) -> None:
        super().__init__(message)
        self.provider = provider
        self.status = status
        self.is_final = is_final
