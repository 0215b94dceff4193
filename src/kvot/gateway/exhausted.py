"""What a person is told whose call was refused: whose budget it is, what was asked for, and what helps. Words alone."""

from kvot.core.durations import duration
from kvot.gateway.holding import Exhausted


def message_of(exhausted: Exhausted) -> str:
    """Two sentences: how the budget stands to the call, and what can be done."""
    limits = exhausted.limits
    shortest = f" ({exhausted.amount} with the shortest answer)" if exhausted.amount < exhausted.asked else ""
    return (
        f"The company's token budget does not hold this call of its assistant: it asks for up to {exhausted.asked} "
        f"tokens{shortest}, and {limits.tokens_remaining} of {limits.token_limit} are left ({limits.tokens_used} used, "
        f"{limits.tokens_held} held by calls under way). {_what_helps(exhausted)}"
    )


def _what_helps(exhausted: Exhausted) -> str:
    limits = exhausted.limits
    if exhausted.output_fits is not None:
        return (
            "It names no ceiling for its answer, so as much is needed as any may have: with one (max_tokens, as most "
            f"APIs call it) of at most {exhausted.output_fits} it would fit."
        )
    if limits.is_short_term:
        return "Only calls under way are in its way: it will fit soon, once enough of them have ended."
    if limits.fits_after_ms is None:
        return "Waiting does not help: whoever runs the gateway can raise the budget."
    what = "The shortest answer" if exhausted.amount < exhausted.asked else "It"
    return (
        f"{what} fits in {duration(limits.fits_after_ms)} if nothing else is used; whoever runs the gateway can raise "
        "the budget."
    )
