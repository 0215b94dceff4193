"""A scriptable mock of every provider's API, over real sockets: `python -m tests.provider --help` for benches."""

from tests.provider.received import Received
from tests.provider.script import BOMB_BYTES, Fault, Script
from tests.provider.server import Provider

__all__ = ["BOMB_BYTES", "Fault", "Provider", "Received", "Script"]
