"""API keys: made, listed, revoked. A key is shown once."""

from typing import Annotated

from kvot.contract.describe import NOT_EMPTY, DateTime, Guid, Member, Request, Response
from kvot.contract.status import ResponseStatus
from kvot.contract.usage import COMPANY

_ID = Member("The key's id. Safe to show and to log.")


class CreateApiKey(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    name: Annotated[str | None, Member("What the key is for.")] = None
    roles: Annotated[
        list[str] | None,
        Member(
            "What the key may do beyond reading and recording: a subset of its maker's roles.", refuse_malformed=True
        ),
    ] = None
    expires_at: Annotated[
        DateTime | None, Member("When the key stops working. Never when omitted.", refuse_malformed=True)
    ] = None
    networks: Annotated[
        list[str] | None,
        Member("CIDR ranges that the key may be used from. Any when omitted.", refuse_malformed=True),
    ] = None
    key: Annotated[
        str | None,
        Member(
            "An existing key to take over, so that its client keeps it. Made when omitted.",
            refuse_malformed=True,
            is_secret=True,
        ),
    ] = None


class ApiKeyInfo(Response, kw_only=True):
    id: Annotated[str, _ID]
    company_id: Annotated[Guid | None, Member("The company that the key speaks for.")] = None
    name: Annotated[str | None, Member("What the key is for.")] = None
    roles: Annotated[list[str], Member("What the key may do beyond reading and recording.")]
    networks: Annotated[list[str], Member("CIDR ranges that the key may be used from; empty: any.")]
    created_at: Annotated[DateTime, Member("When the key was made.")]
    expires_at: Annotated[DateTime | None, Member("When the key stops working.")] = None
    revoked_at: Annotated[DateTime | None, Member("When the key was revoked.")] = None


class CreateApiKeyResponse(Response):
    result: Annotated[ApiKeyInfo, Member("The key as it will be listed.")]
    key: Annotated[str | None, Member("The key itself, this once. Absent for a key that was taken over.")] = None
    response_status: ResponseStatus | None = None


class ApiKeyQuery(Request):
    company_id: Annotated[Guid | None, COMPANY] = None


class ApiKeyQueryResponse(Response):
    results: Annotated[list[ApiKeyInfo], Member("The keys, oldest first.")]
    response_status: ResponseStatus | None = None


class RevokeApiKey(Request):
    id: Annotated[str | None, Member("The key's id.", parameter_type="path", is_required=True, rules=(NOT_EMPTY,))] = (
        None
    )


class RevokeApiKeyResponse(Response):
    id: Annotated[str, _ID]
    response_status: ResponseStatus | None = None
