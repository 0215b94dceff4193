"""One line per request, at the edge: what was asked, by which credential, with what outcome. Never what was said."""

import secrets
from typing import Any

from kvot.contract.describe import Operation
from kvot.core.errors import ProviderFailed, StoreUnavailable
from kvot.core.principal import Principal
from kvot.telemetry.logs import logger


class RequestLog:
    """`least_status`: requests below it are not logged. 400 leaves out those that went well, 0 leaves out none."""

    def __init__(self, least_status: int = 400, log: Any = None) -> None:
        self.least_status = least_status
        self.sink = log or logger("kvot.http")

    def request(
        self,
        scope: Any,
        operation: Operation | None,
        principal: Principal | None,
        status: int,
        duration_s: float,
    ) -> None:
        self.sink.info(
            "request",
            operation=operation.name if operation else None,
            method=scope["method"],
            company=principal.company_id if principal else None,
            credential=principal.credential_id if principal else None,
            status=status,
            duration_ms=round(duration_s * 1000, 3),
        )

    def unavailable(self, operation: Operation | None, error: StoreUnavailable) -> None:
        """Why the store could not answer: its file, and what to do, which no client is told."""
        self.sink.error("store unavailable", operation=operation.name if operation else None, reason=error.message)

    def provider_failed(self, error: ProviderFailed) -> None:
        """Why: where the provider is, and what it did, which no client is told."""
        self.sink.warning("provider failed", provider=error.provider, reason=str(error.__cause__ or error.message))

    def unforeseen(self, scope: Any, operation: Operation | None, error: Exception) -> str:
        """Log a fault of ours with its stack, but without its text, which may hold what the client sent."""
        request_id = secrets.token_hex(8)
        self.sink.error(
            "unforeseen error",
            request_id=request_id,
            operation=operation.name if operation else None,
            method=scope["method"],
            error=type(error).__name__,
            at=_frames(error),
        )
        return request_id


def _frames(error: BaseException) -> list[str]:
    """Where it happened, innermost last: file, line and function of the last few frames."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/kvot/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-8:]
