"""What every operation is given: the services of the house, and who is calling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kvot.core.keys import KeyStore
from kvot.core.ledger import Ledger
from kvot.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Services:
    """`pepper` is the key under which the secrets of API keys are hashed; `new_id` makes ids that nobody can guess."""

    ledger: Ledger
    keys: KeyStore
    pepper: bytes
    new_id: Callable[[], str]


class Caller(NamedTuple):
    """Who is calling, and the `Idempotency-Key` that came with the call, if one did."""

    principal: Principal
    idempotency_key: str | None = None
