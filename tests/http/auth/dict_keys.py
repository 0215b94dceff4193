"""A store of API keys in a dictionary: the contract of `KeyStore`, as plainly as possible. Counts look-ups."""

from kvot.core.keys import ApiKey


class DictKeys:
    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.keys_version = 0
        self.looked_up: list[str] = []

    async def add_key(self, key: ApiKey, *, actor: str, now_ms: int) -> bool:
        if key.key_id in self.keys:
            return False
        self.keys[key.key_id] = key
        self.keys_version += 1
        return True

    async def revoke_key(self, key_id: str, *, company_id: str | None, actor: str, now_ms: int) -> bool:
        key = self.keys.get(key_id)
        if key is None or company_id not in (None, key.company_id):
            return False
        if key.revoked_at_ms is None:
            self.keys[key_id] = key._replace(revoked_at_ms=now_ms)
            self.keys_version += 1
        return True

    async def bind_secret(self, check: bytes, *, replaced_by: str | None = None, now_ms: int = 0) -> bool:
        raise NotImplementedError

    async def find_key(self, key_id: str) -> ApiKey | None:
        self.looked_up.append(key_id)
        return self.keys.get(key_id)

    async def list_keys(self, *, company_id: str | None = None) -> list[ApiKey]:
        return [key for key in self.keys.values() if company_id in (None, key.company_id)]
