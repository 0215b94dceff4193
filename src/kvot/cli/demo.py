"""A company to look at: thirty days of generated history, the same on every machine but for the day it ends on.

Nothing here is anybody's usage, and whoever prints it says so.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from kvot.cli.target import OPERATOR, Local
from kvot.contract.describe import Instant
from kvot.contract.keeping import AiChatUsageEvent, ImportAiChatUsage, ImportAiChatUsageResponse
from kvot.contract.keys import ApiKeyQuery, ApiKeyQueryResponse, CreateApiKey, CreateApiKeyResponse, RevokeApiKey
from kvot.core.budget import Budget
from kvot.core.window import MS_PER_DAY, MS_PER_HOUR

COMPANY_ID = "de300000-0000-4000-8000-000000000001"
KEY_NAME = "demo"
DAYS = 30
SEED = 20_260_101
TOKEN_LIMIT = 12_000_000
"""With this seed some 70 % of it is used: enough to look lived in, and room to try things."""

_CALLS_PER_HOUR = (1, 0, 0, 0, 0, 1, 2, 5, 12, 16, 15, 12, 9, 14, 16, 15, 12, 8, 5, 4, 4, 3, 2, 1)
"""A working day, in UTC: a peak before and after lunch, quiet nights."""

_WEEKEND_SHARE = 0.25
_MONDAY_0 = 3
"""The first day of the epoch was a Thursday."""
_SATURDAY = 5

_FEATURES = {"assistant": (900, 350), "search": (2_400, 180), "summary": (3_600, 600)}
"""Typical input and output tokens of a call, by feature."""

_MODELS = (("openai", "gpt-4.1-mini"), ("anthropic", "claude-sonnet-4-5"))
_MODEL_WEIGHTS = (3, 2)
_FEATURE_WEIGHTS = (5, 3, 2)


@dataclass(frozen=True, slots=True)
class Demo:
    """`events`: how many were made now; 0 when the company was there already."""

    company_id: str
    key: str
    events: int


def prepare(local: Local) -> Demo:
    """Fill the demo company on the first start, and give it a fresh key on each: a key is shown only once."""
    events = 0 if _is_filled(local) else _fill(local)
    return Demo(COMPANY_ID, _fresh_key(local), events)


def _is_filled(local: Local) -> bool:
    return COMPANY_ID in local.runner.run(local.house.services.ledger.companies())


def _fill(local: Local) -> int:
    now_ms = local.house.services.ledger.now_ms()
    local.runner.run(_set_budget(local, now_ms - DAYS * MS_PER_DAY))
    events = list(history(now_ms))
    reply: ImportAiChatUsageResponse = local.call(ImportAiChatUsage(company_id=COMPANY_ID, events=events))
    assert not reply.refusals, reply.refusals
    return reply.accepted


async def _set_budget(local: Local, from_ms: int) -> None:
    """In effect before the history, which would otherwise be told as far over the default. No operation sets a budget
    in the past; a ledger that is just being made can, as its clock has not begun."""
    budget, reason = Budget(TOKEN_LIMIT, DAYS), "the demo's budget"
    store, actor = local.house.store, OPERATOR.credential_id
    await store.set_budget(COMPANY_ID, budget, actor=actor, reason=reason, now_ms=from_ms)


def history(end_ms: int) -> Iterator[AiChatUsageEvent]:
    """Calls of the thirty days that end at `end_ms`, in order."""
    chance = random.Random(SEED)
    first_hour = (end_ms - DAYS * MS_PER_DAY) // MS_PER_HOUR + 1
    number = 0
    for hour in range(first_hour, end_ms // MS_PER_HOUR):
        for offset_ms in sorted(chance.randrange(MS_PER_HOUR) for _ in range(_calls(chance, hour))):
            number += 1
            yield _call(chance, f"demo-{number}", hour * MS_PER_HOUR + offset_ms)


def _calls(chance: random.Random, hour: int) -> int:
    is_weekend = (hour // 24 + _MONDAY_0) % 7 >= _SATURDAY
    usual = _CALLS_PER_HOUR[hour % 24] * (_WEEKEND_SHARE if is_weekend else 1)
    return round(usual * chance.uniform(0.6, 1.4))


def _call(chance: random.Random, event_id: str, at_ms: int) -> AiChatUsageEvent:
    feature = chance.choices(tuple(_FEATURES), _FEATURE_WEIGHTS)[0]
    provider, model = chance.choices(_MODELS, _MODEL_WEIGHTS)[0]
    usual_input, usual_output = _FEATURES[feature]
    return AiChatUsageEvent(
        id=event_id,
        at=Instant(at_ms),
        input_tokens=round(usual_input * chance.lognormvariate(0, 0.5)) + 1,
        output_tokens=round(usual_output * chance.lognormvariate(0, 0.7)) + 1,
        provider=provider,
        model=model,
        user_id=f"user-{chance.randrange(1, 13)}",
        feature=feature,
    )


def _fresh_key(local: Local) -> str:
    listed: ApiKeyQueryResponse = local.call(ApiKeyQuery(company_id=COMPANY_ID))
    for info in listed.results:
        if info.name == KEY_NAME and info.revoked_at is None:
            local.call(RevokeApiKey(id=info.id))
    made: CreateApiKeyResponse = local.call(CreateApiKey(company_id=COMPANY_ID, name=KEY_NAME))
    assert made.key is not None
    return made.key
