"""A house of its own for a test: the reference engine, a clock that stands still, ids that count up."""

import itertools
from typing import Any

from kvot.contract import OPERATIONS
from kvot.contract.describe import Request
from kvot.core.budget import Rules
from kvot.core.ledger import Ledger
from kvot.core.principal import SUPERADMIN, USAGE_WRITER, Principal
from kvot.operations import perform
from kvot.operations.sealing import Sealer
from kvot.operations.services import Caller, ProviderKeys, Services
from kvot.stores.memory import MemoryStore

NOW_MS = 1_700_000_000_000
ACME = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"

OPERATOR = Caller(Principal(None, None, frozenset({SUPERADMIN}), "cli"))
WRITER = Caller(Principal(ACME, None, frozenset({USAGE_WRITER}), "writer"))
USER = Caller(Principal(ACME, "u1", frozenset(), "user"))


def open_services() -> Services:
    store = MemoryStore(Rules())
    numbers = itertools.count(1)
    provider_keys = ProviderKeys(store, Sealer(bytes(32)), ("anthropic", "openai"))
    return Services(Ledger(store, lambda: NOW_MS), store, b"pepper", lambda: f"id{next(numbers)}", provider_keys)


async def ask(services: Services, caller: Caller, request: Request) -> Any:
    """The reply to a request, by the one door."""
    return await perform(services, caller, OPERATIONS[type(request).__name__.lower()], request)
