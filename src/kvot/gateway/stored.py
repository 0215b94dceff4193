"""What providers keep of earlier calls, and hand out to whoever names its id: responses, conversations, containers.

Behind one key a provider sees one account, so an id is all that stands between companies. Kvot keeps no list of which
company made which id, and so passes on nothing that names one, unless the key is the company's own or the settings say
that companies may share. docs/internals/decisions/stored-responses.md.
"""

from kvot.core.errors import FieldError, InvalidRequest, NotFound
from kvot.gateway.provider import Provider

BY_ADDRESS = ""
"""In the place of a member: the path itself names what is stored."""


def in_path(_body: bytes) -> str:
    """`Endpoint.stored` of a path with an id in it."""
    return BY_ADDRESS


def check_stored(provider: Provider, named: str | None) -> None:
    """named: by which member, BY_ADDRESS, or None. Raises NotFound and InvalidRequest."""
    if named is None or provider.has_own_key:
        return
    why = (
        f"{provider.name} tells what it keeps of earlier calls apart by nothing but its id, so that is out of reach "
        "here for a company without a key of its own to the provider, unless KVOT_STORED_RESPONSES is shared."
    )
    if named == BY_ADDRESS:
        raise NotFound(why)
    message = f"'{named}' cannot be used: {why} Send the conversation itself."
    raise InvalidRequest.of_fields([FieldError(named, InvalidRequest.code, message)])
