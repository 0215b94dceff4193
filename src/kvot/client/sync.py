"""The blocking shell: carries requests to a server and waits for the replies."""

from collections.abc import Sequence

import httpx2

from kvot.client.requests import HttpRequest, from_http, lines_to_http, to_http
from kvot.contract import OPERATIONS
from kvot.contract.describe import Operation, Request, Response
from kvot.core.errors import StoreUnavailable

TIMEOUT_S = 60.0
"""A batch of thousands of events commits within a second; proving a large ledger takes longer."""


class Client:
    """One server, one credential. Not for use by several threads at once."""

    def __init__(self, url: str, api_key: str | None) -> None:
        headers = {} if api_key is None else {"x-api-key": api_key}
        self._url = url
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_S)

    def call(self, request: Request, *, idempotency_key: str | None = None) -> Response:
        """Raises KvotError: what the server refused, or StoreUnavailable when it cannot be reached."""
        operation = operation_of(request)
        return self._send(operation, to_http(operation, request, idempotency_key=idempotency_key))

    def call_with_lines(self, operation: Operation, lines: Sequence[bytes], *, company_id: str | None) -> Response:
        return self._send(operation, lines_to_http(operation, lines, company_id=company_id))

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page that is no operation, such as /readyz."""
        try:
            reply = self._http.get(path)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        return reply.status_code, reply.content

    def close(self) -> None:
        self._http.close()

    def _send(self, operation: Operation, sent: HttpRequest) -> Response:
        try:
            reply = self._http.request(sent.verb, sent.target, headers=dict(sent.headers), content=sent.body)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        return from_http(operation, reply.status_code, reply.headers, reply.content)

    def _unreachable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"The server {self._url} cannot be reached: {error}.")


def operation_of(request: Request) -> Operation:
    return OPERATIONS[type(request).__name__.lower()]
