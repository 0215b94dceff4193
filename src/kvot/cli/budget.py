"""`kvot budget`: what a company may use."""

from typing import Annotated

from cyclopts import Parameter

from kvot.cli import show as showing
from kvot.cli.options import NO_OPTIONS, Options, company_guid
from kvot.cli.usage import Company
from kvot.contract.budget import AiChatBudgetResponse, GetAiChatBudget, UpdateAiChatBudget


def show(*, company: Company = None, options: Options = NO_OPTIONS) -> None:
    """Show the budget that applies to a company now.

    For example:

    ```
    kvot budget show --company $COMPANY
    ```
    """
    _print(_get(company, options), options)


def set_(
    *,
    company: Company = None,
    token_limit: Annotated[int | None, Parameter(help="Tokens in any window. Unchanged when omitted.")] = None,
    window_days: Annotated[int | None, Parameter(help="Days in the window. Unchanged when omitted.")] = None,
    reason: Annotated[str | None, Parameter(help="Why, for the history.")] = None,
    options: Options = NO_OPTIONS,
) -> None:
    """Change a company's budget, from now on. Usage stays as it is, and the history keeps what was before.

    For example:

    ```
    kvot budget set --company $COMPANY --token-limit 5000000 --reason "new plan"
    kvot budget set --company $COMPANY --window-days 7
    ```
    """
    request = UpdateAiChatBudget(
        company_id=company_guid(company), token_limit=token_limit, window_days=window_days, reason=reason
    )
    with options.target(make=True) as target:
        reply: AiChatBudgetResponse = target.call(request)
    _print(reply, options)


def history(*, company: Company = None, options: Options = NO_OPTIONS) -> None:
    """List the budgets that a company has had: since when, who set them, and why.

    For example:

    ```
    kvot budget history --company $COMPANY --json
    ```
    """
    reply = _get(company, options)
    if options.json:
        showing.document(reply)
    elif not reply.history:
        print("No budget of its own yet: the default applies.")
    else:
        rows = [
            (
                showing.moment(each.effective_at),
                showing.number(each.token_limit),
                f"{each.window_days} days",
                each.actor,
                each.reason or "",
            )
            for each in reply.history
        ]
        showing.table(("since", "limit", "window", "by", "reason"), rows, right=(1, 2))


def _get(company: str | None, options: Options) -> AiChatBudgetResponse:
    with options.target() as target:
        reply: AiChatBudgetResponse = target.call(GetAiChatBudget(company_id=company_guid(company)))
    return reply


def _print(reply: AiChatBudgetResponse, options: Options) -> None:
    if options.json:
        showing.document(reply)
        return
    since = "never; the default applies" if reply.is_default else showing.moment(reply.history[-1].effective_at)
    showing.lines(
        [
            ("company", reply.company_id),
            ("limit", showing.number(reply.token_limit)),
            ("window", f"{reply.window_days} days"),
            ("set", since),
        ]
    )
