"""What the world sees: request and response types, routes, validation. Data only; nothing here acts."""

from kvot.contract.routes import OPERATIONS, ROUTES
from kvot.contract.service import HOST, Host

__all__ = ["HOST", "OPERATIONS", "ROUTES", "Host"]
