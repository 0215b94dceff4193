"""What a caller is told of itself. ServiceStack's type: clients have it built in, so no page and no class shows it."""

from kvot.contract.describe import DateTime, Response
from kvot.contract.status import ResponseStatus


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
