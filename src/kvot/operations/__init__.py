"""One function per request: who may, then ask the ledger."""

from kvot.operations.perform import HANDLERS, perform
from kvot.operations.services import Caller, Services

__all__ = ["HANDLERS", "Caller", "Services", "perform"]
