"""The last step of an import: rows gathered into batches, each counted in the ledger or sent to a server."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from kvot.cli.running import Runner
from kvot.contract import OPERATIONS
from kvot.core.errors import KvotError
from kvot.core.ledger import Ledger
from kvot.core.principal import Principal
from kvot.operations.imports import Batch, Place, Refusal, Rows, Tally, companies_for, count, to_events

if TYPE_CHECKING:
    from kvot.client.sync import Client

BATCH_ROWS = 10_000
"""Rows in one commit: enough that its flush costs nothing beside them, few enough to be lost without pain."""

BODY_BYTES_MAX = 900_000
"""Of one request: the server takes a megabyte."""

_IMPORT = OPERATIONS["importaichatusage"]
_NAMES = {
    "event_ids": "id",
    "at_ms": "at",
    "tokens": "tokens",
    "company_ids": "companyId",
    "provider": "provider",
    "model": "model",
    "user": "userId",
    "feature": "feature",
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cached_tokens": "cachedTokens",
    "reasoning_tokens": "reasoningTokens",
}
"""The columns of rows, and their names on the wire."""


class Importer(Protocol):
    def take(self, rows: Rows) -> None:
        """Take rows, and count a batch when there are enough. Raises KvotError."""
        ...

    def finish(self) -> None:
        """Count what is left."""
        ...


class LocalImporter:
    def __init__(
        self,
        ledger: Ledger,
        runner: Runner,
        principal: Principal,
        company_id: str | None,
        on_tally: Callable[[Tally], None],
    ) -> None:
        self._ledger = ledger
        self._runner = runner
        self._company_of = companies_for(principal, company_id)
        self._on_tally = on_tally
        self._batches: list[Batch] = []
        self._rows = 0

    def take(self, rows: Rows) -> None:
        self._batches.append(to_events(rows, self._company_of))
        self._rows += len(rows.event_ids)
        if self._rows >= BATCH_ROWS:
            self.finish()

    def finish(self) -> None:
        batch = Batch.joined(self._batches)
        self._batches, self._rows = [], 0
        if batch.events or batch.refusals:
            self._on_tally(self._runner.run(count(self._ledger, batch)))


class RemoteImporter:
    """Sends JSON Lines. A request that fails can be sent again: every row has an id, which counts once."""

    def __init__(self, client: "Client", company_id: str | None, on_tally: Callable[[Tally], None]) -> None:
        self._client = client
        self._company_id = company_id
        self._on_tally = on_tally
        self._lines: list[bytes] = []
        self._positions: list[Place] = []
        self._bytes = 0

    def take(self, rows: Rows) -> None:
        names = [name for name in _NAMES if getattr(rows, name) is not None]
        columns = [self._written(name, getattr(rows, name)) for name in names]
        keys = [_NAMES[name] for name in names]
        for position, *values in zip(rows.positions, *columns, strict=True):
            said = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
            self._add(position, msgspec.json.encode(said))

    def finish(self) -> None:
        if not self._lines:
            return
        reply = self._client.call_with_lines(_IMPORT, self._lines, company_id=self._company_id)
        positions = self._positions
        self._lines, self._positions, self._bytes = [], [], 0
        self._on_tally(_tally(reply, positions))

    def _add(self, position: Place, line: bytes) -> None:
        if self._bytes + len(line) + 1 > BODY_BYTES_MAX:
            self.finish()
        self._lines.append(line)
        self._positions.append(position)
        self._bytes += len(line) + 1

    def _written(self, name: str, column: list[object]) -> list[object]:
        if name != "at_ms":
            return column
        return [None if ms is None else f"/Date({ms})/" for ms in column]


def _tally(reply: object, positions: list[Place]) -> Tally:
    """What the server says, with the lines of the file in place of positions in the request."""
    from kvot.contract.keeping import ImportAiChatUsageResponse

    if not isinstance(reply, ImportAiChatUsageResponse):
        raise KvotError("The server's reply is not that of an import.")
    refusals = [Refusal(positions[each.position], each.id, each.error_code, each.message) for each in reply.refusals]
    return Tally(reply.accepted, reply.duplicate, refusals)
