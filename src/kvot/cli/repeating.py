"""What counts once by its id: asked for again where the reply was lost. Who has to do so by hand is told the id."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kvot.core.errors import OUTCOME_UNKNOWN, KvotError, StoreUnavailable

T = TypeVar("T")


def once_more_if_lost(ask: Callable[[], T]) -> T:
    """What it answers, asked a second time if the connection went before the first answer came. The client does so by
    itself for what has an idempotency key."""
    try:
        return ask()
    except StoreUnavailable as lost:
        if lost.__cause__ is None or _did_nothing(lost):
            raise
        try:
            return ask()
        except StoreUnavailable as error:
            if _did_nothing(error):  # which the first may have, all the same
                raise lost from lost.__cause__
            raise


@contextmanager
def telling_id(event_id: str) -> Iterator[None]:
    """Where nobody knows whether the event is recorded, say so, and how to make sure."""
    told = f"It may have been carried out: repeat it with --id {event_id}."
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted. {told}") from None
    except KvotError as error:
        named = f"the idempotency key {event_id!r}"  # as the client says of a key, which is no word of this command
        if named in error.message:
            error.message = error.message.replace(named, f"--id {event_id}")
        elif _may_be_done(error):
            error.message = f"{error.message.removesuffix(OUTCOME_UNKNOWN).rstrip()} {told}"
        raise


@contextmanager
def telling_recorded() -> Iterator[None]:
    """Around what is asked once an event is recorded: that it is stays true, whatever becomes of the question."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted. The event is recorded.") from None
    except KvotError as error:
        error.message = f"The event is recorded, but what is used now could not be asked: {error.message}"
        raise


def _may_be_done(error: KvotError) -> bool:
    """A KvotError of no class of its own is what something between us and the server answers, or a fault of its."""
    return type(error) is KvotError or (isinstance(error, StoreUnavailable) and not _did_nothing(error))


def _did_nothing(error: StoreUnavailable) -> bool:
    """The store says so, or a server was never sent it."""
    from kvot.client.server import NOT_SENT

    return error.did_nothing or isinstance(error.__cause__, NOT_SENT)
