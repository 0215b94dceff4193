"""Companies' own keys to providers: sealed bytes. Every change leaves a line in the audit log, without them."""

from kvot.core.provider_keys import SealedKey
from kvot.stores.sqlite import audit
from kvot.stores.sqlite.connection import Row, Tx
from kvot.stores.sqlite.encoding import from_guid, to_guid
from kvot.stores.texts import can_be_kept

COLUMNS = "company_id, provider, sealed, set_at, set_by"
SET = f"INSERT OR REPLACE INTO provider_key({COLUMNS}) VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM provider_key WHERE company_id = ? AND provider = ?"
_FIND = f"SELECT {COLUMNS} FROM provider_key WHERE company_id = ? AND provider = ?"
_LIST = f"SELECT {COLUMNS} FROM provider_key WHERE company_id = ? ORDER BY provider"


def set_provider_key(tx: Tx, key: SealedKey, now_ms: int) -> bool:
    tx.execute(SET, to_row(key))
    _note(tx, "set_provider_key", key.company_id, key.provider, key.set_by, now_ms)
    return True


def remove_provider_key(tx: Tx, company_id: str, provider: str, actor: str, now_ms: int) -> bool:
    if not can_be_kept(provider):
        return False
    tx.execute(_REMOVE, (to_guid(company_id), provider))
    if not tx.connection.changes():
        return False
    _note(tx, "remove_provider_key", company_id, provider, actor, now_ms)
    return True


def find_provider_key(tx: Tx, company_id: str, provider: str) -> SealedKey | None:
    rows = tx.execute(_FIND, (to_guid(company_id), provider)).fetchall()
    return from_row(rows[0]) if rows else None


def list_provider_keys(tx: Tx, company_id: str) -> list[SealedKey]:
    return [from_row(row) for row in tx.execute(_LIST, (to_guid(company_id),))]


def _note(tx: Tx, action: str, company_id: str, provider: str, actor: str, now_ms: int) -> None:
    audit.note(tx, at_ms=now_ms, actor=actor, action=action, company_id=company_id, subject=provider, detail={})


def to_row(key: SealedKey) -> Row:
    return (to_guid(key.company_id), *key[1:])


def from_row(row: Row) -> SealedKey:
    guid, *rest = row
    assert isinstance(guid, bytes)
    return SealedKey(from_guid(guid), *rest)
