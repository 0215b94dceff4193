"""Who is calling. The company comes from the credential alone, never from what a request says of itself."""

from typing import NamedTuple

SUPERADMIN = "superadmin"
"""May name any company, set budgets, correct, prune, and make and revoke keys."""

USAGE_WRITER = "usage-writer"
"""May give events a time of their own and import, for the credential's company."""

ROLES = frozenset({SUPERADMIN, USAGE_WRITER})


class Principal(NamedTuple):
    """`company_id` None: the credential names no company (an operator's). `credential_id` is safe to log."""

    company_id: str | None
    user_id: str | None
    roles: frozenset[str]
    credential_id: str

    @property
    def is_superadmin(self) -> bool:
        return SUPERADMIN in self.roles
