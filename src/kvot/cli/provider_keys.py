"""`kvot provider-keys`: companies' own keys to providers. A key is read where nobody sees it, and never printed."""

import sys
from getpass import getpass
from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.asking import Yes, agreed
from kvot.cli.options import NO_OPTIONS, Options, UsageError, company_guid
from kvot.cli.target import Target
from kvot.contract.provider_keys import (
    AiChatProviderKeyInfo,
    AiChatProviderKeyQuery,
    AiChatProviderKeyQueryResponse,
    AiChatProviderKeyResponse,
    RemoveAiChatProviderKey,
    UpdateAiChatProviderKey,
)

KEY_BYTES_MAX = 16_384
"""Of what is read for a key, which may be four kilobytes long: a wrong file is noticed, and not read to its end."""

Company = Annotated[str | None, Parameter(help="The GUID of the company whose key it is.")]
Provider = Annotated[str, Parameter(help="The provider's name, as its path has it: openai.")]


def set_(provider: Provider, /, *, company: Company = None, options: Options = NO_OPTIONS) -> None:
    """Keep a company's own key to a provider, sealed; its calls go out under it from the next one on.

    The key is read from standard input, or asked for unseen: it never belongs on a command line, where other processes
    can read it. On a database the settings must offer the provider here, too, as they do where the server runs.

    For example:

    ```
    kvot provider-keys set openai --company $COMPANY
    pass show acme/openai | kvot provider-keys set openai --company $COMPANY
    ```
    """
    company_id, api_key = company_guid(company), _read_key(provider)
    request = UpdateAiChatProviderKey(company_id=company_id, provider=provider, api_key=api_key)
    with options.target(makes_keys=True) as target:
        reply: AiChatProviderKeyResponse = target.call(request)
    if options.json:
        show.document(reply)
    else:
        print(f"Calls to {provider} go out under the company's own key{_ending(reply.result)}.")


def list_(*, company: Company = None, options: Options = NO_OPTIONS) -> None:
    """List the providers, and to which of them a company has a key of its own. Never the keys.

    For example:

    ```
    kvot provider-keys list --company $COMPANY
    ```
    """
    with options.target(makes_keys=True) as target:
        reply: AiChatProviderKeyQueryResponse = target.call(AiChatProviderKeyQuery(company_id=company_guid(company)))
    if options.json:
        show.document(reply)
    elif not reply.results:
        print("No provider is offered, and no key is kept.")
    else:
        show.table(("provider", "offered", "own key", "set", "by"), [_row(each) for each in reply.results])


def remove(provider: Provider, /, *, company: Company = None, yes: Yes = False, options: Options = NO_OPTIONS) -> int:
    """Forget a company's own key to a provider; its calls go out under the service's key again, if there is one.

    For example:

    ```
    kvot provider-keys remove openai --company $COMPANY
    kvot provider-keys remove openai --company $COMPANY --yes
    ```
    """
    request = RemoveAiChatProviderKey(company_id=company_guid(company), provider=provider)
    with options.target(makes_keys=True) as target:
        if not yes and not _agreed_to_remove(target, request):
            return 1
        reply: AiChatProviderKeyResponse = target.call(request)
    if options.json:
        show.document(reply)
    else:
        print(f"The company keeps no key to {provider} any more.")
    return 0


def _agreed_to_remove(target: Target, request: RemoveAiChatProviderKey) -> bool:
    """Nobody is asked about a key that is none: the answer to removing it says so."""
    listed: AiChatProviderKeyQueryResponse = target.call(AiChatProviderKeyQuery(company_id=request.company_id))
    found = next((each for each in listed.results if each.provider == request.provider and each.has_key), None)
    if found is None:
        return True
    what = f"This forgets the company's own key to {found.provider}{_ending(found)}. It cannot be brought back."
    return agreed(what, "Remove it?")


def _read_key(provider: str) -> str:
    """Raises UsageError where nothing comes, and where it is no key whatever: that is never shown."""
    if sys.stdin.isatty():
        try:
            key = getpass(f"The company's key to {provider} (it is not shown): ", stream=sys.stderr)
        except EOFError:
            key = ""
    else:
        data = sys.stdin.buffer.read(KEY_BYTES_MAX + 1)
        if len(data) > KEY_BYTES_MAX:
            raise UsageError(f"Standard input has more than {KEY_BYTES_MAX:,} bytes: that is no key.")
        key = data.decode("utf-8-sig", errors="replace")
    if not key.strip():
        raise UsageError("No key came on standard input.")
    return key.strip()


def _ending(info: AiChatProviderKeyInfo) -> str:
    return f", which ends in {info.last_characters}" if info.last_characters else ""


def _row(info: AiChatProviderKeyInfo) -> tuple[str, ...]:
    own = "no"
    if info.has_key:
        own = f"…{info.last_characters}" if info.last_characters else "yes"
        own = own if info.is_readable else "unreadable: set it anew"
    return (info.provider, "yes" if info.is_offered else "no", own, show.moment(info.set_at), info.set_by or "-")
