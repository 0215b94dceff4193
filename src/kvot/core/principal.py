"""Who is calling. The company comes from the credential alone, never from what a request says of itself."""

from typing import NamedTuple

SUPERADMIN = "superadmin"
"""May name any company, set budgets, correct, prune, and make and revoke keys."""

USAGE_WRITER = "usage-writer"
"""May give events a time of their own and import, for the credential's company."""

ROLES = frozenset({SUPERADMIN, USAGE_WRITER})


class Profile(NamedTuple):
    """What a credential says of a person, to be told to that person. It decides nothing: rights follow from `roles` of
    the principal alone, and what is called `roles` here are those of everybody's services."""

    user_name: str | None = None
    display_name: str | None = None
    picture_url: str | None = None
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


NO_PROFILE = Profile()


class Principal(NamedTuple):
    """`company_id` None: the credential names no company (an operator's). `credential_id` is safe to log."""

    company_id: str | None
    user_id: str | None
    roles: frozenset[str]
    credential_id: str
    profile: Profile = NO_PROFILE

    @property
    def is_superadmin(self) -> bool:
        return SUPERADMIN in self.roles
