"""What providers keep of earlier calls, and hand out to whoever names its id: responses, conversations, containers.

Behind one key a provider sees one account, so an id is all that stands between companies. Of the replies that a
provider stores the ledger remembers which company made which, and their company may name them; of all else nobody knows
whose it is, and nothing that names it is passed on. Neither holds where the key is the company's own or the settings
say that companies may share. docs/internals/decisions/stored-responses.md.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from kvot.core.errors import FieldError, InvalidRequest, NotFound
from kvot.core.stored_replies import REPLIES_KEPT_MS, StoredReply, StoredReplyStore
from kvot.core.window import MS_PER_DAY
from kvot.gateway.dialect import PREVIOUS_REPLY_NOT_FOUND, Ask, Endpoint, Named
from kvot.gateway.provider import Provider

_WHY = (
    "It is in reach only of the company that made it with the key that is used now, for "
    f"{REPLIES_KEPT_MS // MS_PER_DAY} days."
)


class StoredReplies:
    """Whose stored replies are. are_shared: any company may name whatever is stored, so nothing need be known."""

    def __init__(self, store: StoredReplyStore, now_ms: Callable[[], int], *, are_shared: bool = False) -> None:
        self._store = store
        self._now_ms = now_ms
        self._are_shared = are_shared

    async def check(self, company_id: str, provider: Provider, named: Named | None) -> int | None:
        """How many tokens the reply that is named comes to; None: nobody knows, or no reply is.

        Raises NotFound (named by the path) or InvalidRequest (by a member) for what is not the company's to name.
        `company_id` empty: a call for no company. Raises StoreUnavailable.
        """
        if named is None or not self._are_told_apart(provider):
            return None
        if named.reply_id is None:
            raise _invalid(named, _nobodys(provider, named.member))
        reply = await self._find(company_id, provider, named.reply_id)
        if reply is None:
            raise _unknown(named)
        return reply.tokens

    def to_remember(
        self, company_id: str, provider: Provider, endpoint: Endpoint, ask: Ask
    ) -> Callable[[str, int | None], Awaitable[None]] | None:
        """What has to be told the id of a call's reply, and its tokens where its provider gave final figures. It
        returns when that is durable. None: nothing has to."""
        if endpoint.stores is None or not self._are_told_apart(provider) or not endpoint.stores(ask):
            return None
        return partial(self._remember, company_id, provider.name)

    def _are_told_apart(self, provider: Provider) -> bool:
        return not (provider.has_own_key or self._are_shared)

    async def _find(self, company_id: str, provider: Provider, reply_id: str) -> StoredReply | None:
        if not company_id or not reply_id:
            return None
        return await self._store.find_reply(company_id, provider.name, reply_id, now_ms=self._now_ms())

    async def _remember(self, company_id: str, provider: str, reply_id: str, tokens: int | None) -> None:
        await self._store.remember_reply(company_id, provider, reply_id, tokens=tokens, now_ms=self._now_ms())


def _unknown(named: Named) -> NotFound | InvalidRequest:
    """The same words whether or not there is such a reply."""
    shown = f" with id '{named.reply_id}'" if named.reply_id else ""
    if named.member is None:
        return NotFound(f"Response{shown} not found. {_WHY}")
    return _invalid(named, f"Previous response{shown} not found. {_WHY}", PREVIOUS_REPLY_NOT_FOUND)


def _nobodys(provider: Provider, member: str | None) -> str:
    return (
        f"'{member}' cannot be used: {provider.name} tells what it keeps of earlier calls apart by nothing but its id, "
        "so that is out of reach here for a company without a key of its own to the provider, unless "
        f"KVOT_STORED_RESPONSES is shared. {_INSTEAD.get(member or '', 'Send the conversation itself.')}"
    )


_INSTEAD = {
    "input": "Set 'store' to false and send the items themselves, not references to them (Vercel's AI SDK: "
    "providerOptions.openai.store = false). Leave out items that name a container, like code_interpreter_call, or say "
    "their code and its output as text.",
    "request_id": "Leave it out: the server makes one.",
    "tools": 'Let the tool make a container of its own: "container": {"type": "auto"}.',
}
"""By the member that names what is kept."""


def _invalid(named: Named, message: str, code: str = InvalidRequest.code) -> InvalidRequest:
    return InvalidRequest.of_fields([FieldError(named.member or "", code, message)])
