"""What else bounds an answer, or counts answers, at servers that follow one of the APIs.

Each of these names is read by some server beside, or in the place of, the one that its API has: llama.cpp takes all of
OpenAI's at each of its paths, and its own beat them. What is not read here is refused: it may say other than what is
held.
"""

from collections.abc import Mapping
from typing import Any

from kvot.core.errors import InvalidRequest
from kvot.gateway.providers.members import invalid

_CEILINGS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_CEILINGS |= {"n_predict", "num_predict", "max_new_tokens", "max_length", "auto_max_new_tokens"}
_ANSWERS = frozenset({"n", "best_of", "n_cmpl"})


def check_bounds(members: Mapping[str, Any], ceilings: tuple[str, ...], answers: tuple[str, ...] = ()) -> None:
    """ceilings, answers: the names that are read. Raises InvalidRequest where another one says something."""
    for name, value in members.items():
        folded = name.casefold()
        if folded in _CEILINGS and folded not in ceilings and value is not None and value is not False:
            raise _not_read(name, ceilings)
        if folded in _ANSWERS and folded not in answers and not _says_one(value):
            raise _not_read(name, answers)


def _says_one(value: object) -> bool:
    return value is None or (type(value) is not bool and value == 1)


def _not_read(name: str, read: tuple[str, ...]) -> InvalidRequest:
    advice = "use " + " or ".join(f"'{each}'" for each in read) if read else "leave it out"
    return invalid(name, f"'{name[:64]}' is not possible here, as it may say other than what is held: {advice}.")
