"""API keys: only the keyed hash of a secret is here. Every change leaves a line in the audit log."""

import json

from kvot.core.keys import ApiKey
from kvot.stores.sqlite import audit
from kvot.stores.sqlite.connection import Row, Tx
from kvot.stores.sqlite.encoding import from_guid, to_guid
from kvot.stores.texts import can_be_kept

COLUMNS = """key_id, secret_hash, company_id, roles, name, created_at, created_by, expires_at, revoked_at, networks"""
ADD = f"INSERT INTO api_key({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FIND = f"SELECT {COLUMNS} FROM api_key WHERE key_id = ?"
_LIST = f"SELECT {COLUMNS} FROM api_key WHERE ?1 IS NULL OR company_id = ?1 ORDER BY created_at, key_id"
_REVOKE = "UPDATE api_key SET revoked_at = ? WHERE key_id = ?"


def add_key(tx: Tx, key: ApiKey, actor: str, now_ms: int) -> bool:
    tx.execute(ADD, to_row(key))
    if not tx.connection.changes():
        return False
    detail: dict[str, object] = {"roles": sorted(key.roles), "name": key.name, "expires_at_ms": key.expires_at_ms}
    detail["networks"] = list(key.networks)
    audit.note(
        tx,
        at_ms=now_ms,
        actor=actor,
        action="add_key",
        company_id=key.company_id,
        subject=key.key_id,
        detail=detail,
    )
    return True


def revoke_key(tx: Tx, key_id: str, company_id: str | None, actor: str, now_ms: int) -> bool:
    key = find_key(tx, key_id)
    if key is None or company_id not in (None, key.company_id):
        return False
    if key.revoked_at_ms is None:
        tx.execute(_REVOKE, (now_ms, key_id))
        audit.note(
            tx,
            at_ms=now_ms,
            actor=actor,
            action="revoke_key",
            company_id=key.company_id,
            subject=key_id,
            detail={},
        )
    return True


def bind_secret(tx: Tx, check: bytes) -> bool:
    tx.execute("INSERT INTO secret_check VALUES (1, ?) ON CONFLICT DO NOTHING", (check,))
    return secret_check(tx) == check


def replace_secret(tx: Tx, check: bytes, actor: str, now_ms: int) -> bool:
    set_secret(tx, check)
    audit.note(tx, at_ms=now_ms, actor=actor, action="accept_secret", company_id=None, subject="secret", detail={})
    return True


def set_secret(tx: Tx, check: bytes) -> None:
    tx.execute("INSERT INTO secret_check VALUES (1, ?) ON CONFLICT DO UPDATE SET digest = excluded.digest", (check,))


def secret_check(tx: Tx) -> bytes | None:
    rows = tx.execute("SELECT digest FROM secret_check").fetchall()
    return bytes(rows[0][0]) if rows else None


def find_key(tx: Tx, key_id: str) -> ApiKey | None:
    rows = tx.execute(_FIND, (key_id,)).fetchall() if can_be_kept(key_id) else []
    return from_row(rows[0]) if rows else None


def list_keys(tx: Tx, company_id: str | None) -> list[ApiKey]:
    guid = None if company_id is None else to_guid(company_id)
    return [from_row(row) for row in tx.execute(_LIST, (guid,))]


def to_row(key: ApiKey) -> Row:
    guid = None if key.company_id is None else to_guid(key.company_id)
    roles, networks = json.dumps(sorted(key.roles)), json.dumps(key.networks)
    made = (key.created_at_ms, key.created_by, key.expires_at_ms, key.revoked_at_ms)
    return (key.key_id, key.secret_hash, guid, roles, key.name, *made, networks)


def from_row(row: Row) -> ApiKey:
    key_id, secret_hash, guid, roles, name, *made, networks = row
    company_id = from_guid(guid) if isinstance(guid, bytes) else None
    return ApiKey(  # type: ignore[call-arg]
        key_id,
        secret_hash,
        company_id,
        frozenset(json.loads(str(roles))),
        name,
        *made,
        tuple(json.loads(str(networks))),
    )
