"""A company's own keys to providers: set, removed, and said to be there. A key is never shown again."""

from typing import Annotated

from kvot.contract.describe import NOT_EMPTY, DateTime, Guid, Member, Request, Response
from kvot.contract.status import ResponseStatus
from kvot.contract.usage import COMPANY

_PROVIDER = Member("The provider's name.", parameter_type="path", is_required=True, rules=(NOT_EMPTY,))


class UpdateAiChatProviderKey(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    provider: Annotated[str | None, _PROVIDER] = None
    api_key: Annotated[
        str | None,
        Member(
            "The company's key to the provider.",
            is_required=True,
            rules=(NOT_EMPTY,),
            refuse_malformed=True,
            is_secret=True,
        ),
    ] = None


class RemoveAiChatProviderKey(Request):
    company_id: Annotated[Guid | None, COMPANY] = None
    provider: Annotated[str | None, _PROVIDER] = None


class AiChatProviderKeyQuery(Request):
    company_id: Annotated[Guid | None, COMPANY] = None


class AiChatProviderKeyInfo(Response, kw_only=True):
    provider: Annotated[str, Member("The provider's name.")]
    is_offered: Annotated[bool, Member("True while calls are passed on to this provider.")]
    has_key: Annotated[bool, Member("True while a key of the company's own is kept; its calls then go out under it.")]
    is_readable: Annotated[
        bool | None,
        Member("False when the key was sealed under another secret: calls are refused until it is set anew."),
    ] = None
    last_characters: Annotated[str | None, Member("The key's last four characters, where it has 16 or more.")] = None
    set_at: Annotated[DateTime | None, Member("When the key was set.")] = None
    set_by: Annotated[str | None, Member("The id of the credential that set it.")] = None


class AiChatProviderKeyResponse(Response):
    result: Annotated[AiChatProviderKeyInfo, Member("How it stands now.")]
    response_status: ResponseStatus | None = None


class AiChatProviderKeyQueryResponse(Response):
    results: Annotated[
        list[AiChatProviderKeyInfo], Member("Every provider that is offered, or for which a key is kept.")
    ]
    response_status: ResponseStatus | None = None
