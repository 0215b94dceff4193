"""What every operation is given: the services of the house, and who is calling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kvot.core.errors import Conflict
from kvot.core.keys import KeyStore
from kvot.core.ledger import Ledger
from kvot.core.principal import Principal
from kvot.core.provider_keys import ProviderKeyStore
from kvot.core.store import OnEvents, ignore
from kvot.operations.sealing import Sealer


@dataclass(frozen=True, slots=True)
class ProviderKeys:
    """Companies' own keys to providers: where they are kept, what seals them (None: opened without the secret), and
    which providers are offered."""

    store: ProviderKeyStore
    sealer: Sealer | None
    offered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Services:
    """`pepper` is the key under which the secrets of API keys are hashed; `new_id` makes ids that nobody can guess.

    Without the secret there is no pepper: whoever opens a database so makes and proves no key. `secret_check` tells the
    secret from another, which the database may have been given since; None: nobody asks.

    `on_events` is told how far a long operation is, where somebody watches.
    """

    ledger: Ledger
    keys: KeyStore
    pepper: bytes | None
    new_id: Callable[[], str]
    provider_keys: ProviderKeys
    on_events: OnEvents = ignore
    secret_check: bytes | None = None

    async def need_right_secret(self) -> None:
        """To be asked before a key is kept. Raises Conflict, as nobody who has the right secret would take that key."""
        if self.secret_check is None or await self.keys.bind_secret(self.secret_check):
            return
        raise Conflict(
            "The secret of this server is not the one that keys are made under now. Nothing changed. Start it again "
            "with that one."
        )


class Caller(NamedTuple):
    """Who is calling, and the `Idempotency-Key` that came with the call, if one did.

    is_told: whether the caller hears of each id that is made: not one way, nor in a batch, whose reply tells nothing of
    what was done before an item failed.
    """

    principal: Principal
    idempotency_key: str | None = None
    is_told: bool = True
