"""The audit log: what people changed, in the transaction that changed it, each line bound by hash to all before it."""

import hashlib
import json

from kvot.core.archive import AuditLine
from kvot.stores.sqlite.connection import Tx
from kvot.stores.sqlite.encoding import from_guid, to_guid

_GENESIS = bytes(32)
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_ADD = "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ALL = "SELECT seq, at, actor, action, company_id, subject, detail, hash FROM audit ORDER BY seq"


def note(
    tx: Tx, *, at_ms: int, actor: str, action: str, company_id: str | None, subject: str, detail: dict[str, object]
) -> None:
    """Add a line. `subject` is what was changed (an event's or a key's id); `detail` how."""
    text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    append(tx, AuditLine(at_ms, actor, action, company_id, subject, text))


def append(tx: Tx, line: AuditLine) -> None:
    """Bind a line to those before it."""
    rows = tx.execute(_LAST).fetchall()
    seq, before = rows[0] if rows else (0, _GENESIS)
    digest = _hash(before, seq + 1, *line)
    guid = None if line.company_id is None else to_guid(line.company_id)
    tx.execute(_ADD, (seq + 1, line.at_ms, line.actor, line.action, guid, line.subject, line.detail, digest))


def first_break(tx: Tx) -> int | None:
    """The number of the first line that does not follow from those before it; None if all do.

    Cutting lines off the end leaves no break: keep the last hash elsewhere to see that.
    """
    before, expected = _GENESIS, 1
    for seq, at_ms, actor, action, guid, subject, text, digest in tx.execute(_ALL):
        company_id = None if guid is None else from_guid(guid)
        if seq != expected or digest != _hash(before, seq, at_ms, actor, action, company_id, subject, text):
            return expected
        before, expected = digest, seq + 1
    return None


def _hash(before: bytes, *line: object) -> bytes:
    return hashlib.sha256(before + json.dumps(line, ensure_ascii=False).encode()).digest()
