"""`/metrics`, for Prometheus. Behind a superadmin's credential: what all companies use together is nobody else's.

It closes the connection: whoever scrapes would keep it, and with it the one of several workers that accepted it, so
that of all others nothing would ever be seen.
"""

from collections.abc import Callable

from kvot.core.errors import Forbidden
from kvot.http.replies import CLOSE, Reply
from kvot.http.surface import Answer, Asked

PATH = "/metrics"


class MetricsPage:
    """`text` gives what there is to read now."""

    def __init__(self, text: Callable[[], bytes], content_type: str) -> None:
        self._text = text
        self._headers = ((b"content-type", content_type.encode()), (b"cache-control", b"no-store"), CLOSE)

    def find(self, path: str) -> Answer | None:
        return self._answer if path == PATH else None

    async def _answer(self, asked: Asked) -> Reply:
        if not (await asked.principal()).is_superadmin:
            raise Forbidden("superadmin Role Required")
        return Reply(200, self._headers, self._text())
