"""Signing in. ServiceStack's own types: clients have them built in, so no page and no class shows them."""

from typing import Annotated

from kvot.contract.describe import NOT_EMPTY, DateTime, Member, Operation, Request, Response
from kvot.contract.status import ResponseStatus


class Authenticate(Request):
    """What clients send to sign in or out. `provider` says which: `credentials`, `logout`."""

    provider: Annotated[str | None, Member("How to sign in, or `logout`.")] = None
    user_name: Annotated[str | None, Member("Whose password it is.", rules=(NOT_EMPTY,))] = None
    password: Annotated[str | None, Member("The password.", rules=(NOT_EMPTY,))] = None


class AuthenticateResponse(Response):
    """Members in the order of the contract. Kvot has no users of its own and fills what a credential says."""

    user_id: str | None = None
    session_id: str | None = None
    user_name: str | None = None
    display_name: str | None = None
    referrer_url: str | None = None
    bearer_token: str | None = None
    refresh_token: str | None = None
    refresh_token_expiry: DateTime | None = None
    profile_url: str | None = None
    roles: list[str] | None = None
    permissions: list[str] | None = None
    auth_provider: str | None = None
    response_status: ResponseStatus | None = None
    meta: dict[str, str] | None = None


AUTHENTICATE = Operation(Authenticate, AuthenticateResponse, (), None)
