"""One line per request, at the edge: what was asked, by which credential, with what outcome. Never what was said.

Of a call to a provider each line has the `request_id` that its client was told in `x-kvot-request-id`.
"""

import secrets
from typing import Any, NamedTuple

from kvot.contract.describe import Operation
from kvot.core.errors import ProviderFailed, StoreUnavailable
from kvot.core.principal import Principal
from kvot.telemetry.logs import logger, without_text

EVERY_STATUS, REFUSED_STATUS = 0, 400
"""From which on requests are logged: all of them, or those that did not go well."""


class CallName(NamedTuple):
    """A call to a provider, by what its client was told to name it by, and where it went. `endpoint` None: nowhere."""

    request_id: str
    provider: str
    endpoint: str | None


class RequestLog:
    """`least_status`: requests below it are not logged."""

    def __init__(self, least_status: int = REFUSED_STATUS, log: Any = None) -> None:
        self.least_status = least_status
        self.sink = log or logger("kvot.http")

    def request(
        self,
        scope: Any,
        operation: Operation | None,
        principal: Principal | None,
        status: int,
        duration_s: float,
        call: CallName | None = None,
    ) -> None:
        self.sink.info(
            "request",
            **_what(operation, call),
            method=scope["method"],
            company=principal.company_id if principal else None,
            credential=principal.credential_id if principal else None,
            status=status,
            duration_ms=round(duration_s * 1000, 3),
        )

    def unavailable(self, operation: Operation | None, error: StoreUnavailable, call: CallName | None = None) -> None:
        """Why the store could not answer: its file, and what to do, which no client is told."""
        self.sink.error("store unavailable", **_what(operation, call), reason=error.message)

    def provider_failed(self, error: ProviderFailed, call: CallName) -> None:
        """Why: where the provider is, and what it did, which no client is told."""
        self.sink.warning("provider failed", **_what(None, call), reason=str(error.__cause__ or error.message))

    def unforeseen(
        self, scope: Any, operation: Operation | None, error: Exception, call: CallName | None = None
    ) -> str:
        """Log a fault of ours with its stack, but without its text, which may hold what the client sent."""
        request_id = call.request_id if call else secrets.token_hex(8)
        self.sink.error(
            "unforeseen error",
            **{"request_id": request_id, **_what(operation, call)},
            method=scope["method"],
            **without_text(error),
        )
        return request_id


def _what(operation: Operation | None, call: CallName | None) -> dict[str, str | None]:
    """What was asked for: never as the client wrote it, as a path or a query may hold what it should not."""
    return {"operation": operation.name if operation else None} if call is None else call._asdict()
