"""`kvot holds`: what a company's held tokens are set aside for, and a hold dropped that nobody will end."""

from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show
from kvot.cli.asking import Yes, agreed
from kvot.cli.options import NO_OPTIONS, Options, company_guid
from kvot.cli.usage import Company
from kvot.contract.describe import Instant
from kvot.contract.holds import (
    AiChatHoldInfo,
    AiChatHoldQuery,
    AiChatHoldQueryResponse,
    AiChatHoldResponse,
    GetAiChatHold,
    ReleaseAiChatHold,
)
from kvot.core.durations import duration
from kvot.core.model import HoldState
from kvot.operations.ids import is_gateways


def list_(
    *,
    company: Company = None,
    limit: Annotated[int, Parameter(help="List at most so many, 1,000 at the most: those that last longest.")] = 100,
    options: Options = NO_OPTIONS,
) -> None:
    """List a company's open holds, the oldest first: what its held tokens are set aside for.

    On a server this needs the role superadmin.

    For example:

    ```
    kvot holds list --company $COMPANY
    kvot holds list --company $COMPANY --json
    ```
    """
    request = AiChatHoldQuery(company_id=company_guid(company), max_results=limit)
    with options.target() as target:
        reply: AiChatHoldQueryResponse = target.call(request)
    if options.json:
        show.document(reply)
    elif not reply.results:
        print("No hold is open.")
    else:
        header = ("id", "made by", "tokens", "state", "model", "user", "feature", "age", "expires in")
        show.table(header, [_row(each, reply.at) for each in reply.results], right=(2, 7, 8))
        if reply.has_more:
            show.note(f"More than these {show.number(len(reply.results))} are open: see --limit.")


def release(
    id: Annotated[str, Parameter(help="The hold's id, as listed.")],
    /,
    *,
    company: Company = None,
    yes: Yes = False,
    options: Options = NO_OPTIONS,
) -> int:
    """Drop a hold whose call used nothing, so that its tokens are free at once. Also a charge for one that ran out.

    What will become of the charge is said before it asks. On a server a hold of the gateway needs the role superadmin.

    For example:

    ```
    kvot holds release chat-42 --company $COMPANY
    kvot holds release chat-42 --company $COMPANY --yes
    ```
    """
    company_id = company_guid(company)
    with options.target() as target:
        found: AiChatHoldResponse = target.call(GetAiChatHold(company_id=company_id, hold_id=id))
        if not yes and not _agreed(found):
            return 1
        reply: AiChatHoldResponse = target.call(ReleaseAiChatHold(company_id=company_id, hold_id=id))
    if options.json:
        show.document(reply)
    else:
        _print_released(found, reply)
    return 0


def _row(info: AiChatHoldInfo, at: Instant) -> tuple[str, ...]:
    return (
        info.id,
        "gateway" if info.is_of_gateway else "caller",
        show.number(info.tokens),
        info.state,
        info.model or "-",
        info.user_id or "-",
        info.feature or "-",
        duration(at.ms - info.created_at.ms),
        duration(info.expires_at.ms - at.ms),
    )


def _agreed(found: AiChatHoldResponse) -> bool:
    """Nobody is asked about a hold that has ended without a charge: the answer to releasing it says so."""
    if found.hold_state not in (HoldState.OPEN, HoldState.CHARGED):
        return True
    return agreed(_consequence(found), "Release it?")


def _consequence(found: AiChatHoldResponse) -> str:
    """What will become of the charge if the hold is released as it was found."""
    tokens, is_ours = show.number(found.hold_tokens), is_gateways(found.hold_id)
    if found.hold_state == HoldState.CHARGED:
        return f"The hold ran out and was charged at its {tokens} tokens. The charge is taken back."
    if is_ours:
        return (
            f"A call of the gateway holds {tokens} tokens. If it is still under way it is charged what it uses all "
            "the same, but cut when the hold would have had to be renewed. If its server is gone, nothing is charged "
            "for it, whatever it used."
        )
    return f"A call holds {tokens} tokens. Nothing is charged for it, whatever it used: a settlement comes too late."


def _print_released(found: AiChatHoldResponse, reply: AiChatHoldResponse) -> None:
    was_charged = found.hold_state == HoldState.CHARGED
    charge = f"{show.number(reply.hold_tokens)} tokens taken back" if was_charged else "none"
    show.lines(
        [
            ("hold", reply.hold_id),
            ("state", reply.hold_state),
            ("charge", charge),
            ("used", show.number(reply.tokens_used)),
            ("held", show.number(reply.tokens_held)),
        ]
    )
