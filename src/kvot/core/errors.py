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
├── StoreUnavailable        ours; 503 with Retry-After; safe to repeat with the same id
└── ProviderFailed          theirs; carries the provider and its status

A refusal of the ledger is not an error but a value: see `Status` in `kvot.core.model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field. `meta` holds the values that the message names, as text."""

    field: str
    code: str
    message: str
    meta: Mapping[str, str] | None = None


class KvotError(Exception):
    """Any failure that Kvot foresees. `code` is stable and for programs, `message` is for people."""

    code = "KvotError"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidRequest(KvotError):
    """The request cannot be carried out as sent. `fields` names every fault that was found, in order."""

    code = "InvalidRequest"

    def __init__(self, message: str, *, code: str | None = None, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message, code=code)
        self.fields = tuple(fields)

    @classmethod
    def of_fields(cls, fields: Sequence[FieldError]) -> "InvalidRequest":
        """The first field error speaks for the whole, as ServiceStack's validators do."""
        return cls(fields[0].message, code=fields[0].code, fields=fields)


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
        self.retry_after_ms = retry_after_ms


class StoreUnavailable(KvotError):
    """The ledger could not answer. Whether a write happened is unknown: repeat it with the same id."""

    code = "StoreUnavailable"

    def __init__(self, message: str, *, retry_after_ms: int = 1_000) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class ProviderFailed(KvotError):
    code = "ProviderFailed"

    def __init__(self, message: str, *, provider: str, status: int | None = None) -> None:
        super().__init__(message)
        self.provider = provider
        self.status = status
