import asyncio

import pytest

from kvot.contract.budget import UpdateAiChatBudget
from kvot.contract.holds import (
    AiChatHoldQuery,
    GetAiChatHold,
    ReleaseAiChatHold,
    RenewAiChatHold,
    ReserveAiChatTokens,
    SettleAiChatHold,
)
from kvot.contract.usage import GetAiChatUsage, RecordAiChatUsage
from kvot.core.archive import Audit
from kvot.core.budget import Rules
from kvot.core.errors import BudgetExceeded, Conflict, Forbidden, InvalidRequest, NotFound, Refusal, holds_wait_ms
from kvot.core.ledger import Ledger
from kvot.core.model import Decision, NewHold, Status, Usage
from kvot.core.window import MS_PER_DAY
from kvot.operations import Services
from kvot.operations.ids import new_gateway_id
from kvot.operations.refusals import budget_exceeded
from kvot.operations.sealing import Sealer
from kvot.operations.services import ProviderKeys
from kvot.stores.memory import MemoryStore
from kvot.stores.sqlite import SqliteStore
from kvot.stores.sqlite.archive import SqliteSource
from tests.operations.support import ACME, NOW_MS, OPERATOR, OTHER, USER, ask

TTL_MS = 120_000


class House:
    """Services with a clock that a test moves, and a company with a limit of 100 tokens a day."""

    def __init__(self, store=None):
        self.now_ms = NOW_MS
        self.store = store or MemoryStore(Rules())
        self.services = Services(
            Ledger(self.store, lambda: self.now_ms),
            self.store,
            b"pepper",
            lambda: "made",
            ProviderKeys(self.store, Sealer(bytes(32))),
        )

    async def __call__(self, request, caller=USER):
        return await ask(self.services, caller, request)

    async def used(self):
        return (await self(GetAiChatUsage())).tokens_used


@pytest.fixture
async def house():
    house = House()
    await house(UpdateAiChatBudget(company_id=ACME, token_limit=100, window_days=1), OPERATOR)
    return house


def reserve(tokens=40, hold_id="h", **members):
    return ReserveAiChatTokens(tokens=tokens, hold_id=hold_id, **members)


def numbers(reply):
    return reply.hold_state, reply.hold_tokens, reply.hold_tokens_used, reply.tokens_used, reply.tokens_held


async def test_a_hold_counts_as_held_until_it_is_settled_and_then_as_used(house):
    held = await house(reserve())
    assert numbers(held) == ("open", 40, None, 0, 40)
    assert (held.company_id, held.hold_id, held.token_limit, held.tokens_remaining) == (ACME, "h", 100, 100)
    assert (held.hold_created_at.ms, held.hold_expires_at.ms) == (NOW_MS, NOW_MS + TTL_MS)
    settled = await house(SettleAiChatHold(hold_id="h", tokens_used=25))
    assert numbers(settled) == ("settled", 40, 25, 25, 0)
    assert numbers(await house(GetAiChatHold(hold_id="h"))) == ("settled", 40, 25, 25, 0)


GATEWAYS = new_gateway_id(None)


@pytest.mark.parametrize(
    "reach",
    [
        GetAiChatHold(hold_id=GATEWAYS),
        RenewAiChatHold(hold_id=GATEWAYS),
        SettleAiChatHold(hold_id=GATEWAYS, tokens_used=1),
        ReleaseAiChatHold(hold_id=GATEWAYS),
    ],
)
async def test_a_hold_of_the_gateway_is_to_everybody_else_as_if_it_were_not(house, reach):
    await house.services.ledger.reserve(ACME, NewHold(GATEWAYS, 40, TTL_MS, dispatched=True))
    with pytest.raises(NotFound) as caught:
        await house(reach)
    with pytest.raises(NotFound) as of_none:
        await house(type(reach)(hold_id="none", **({"tokens_used": 1} if isinstance(reach, SettleAiChatHold) else {})))
    assert str(caught.value) == str(of_none.value)
    found = await house.services.ledger.hold(ACME, GATEWAYS)
    assert (found.hold.state, found.hold.expires_at_ms) == ("open", NOW_MS + TTL_MS)


async def test_an_operator_drops_a_hold_that_the_gateway_left(house):
    await house.services.ledger.reserve(ACME, NewHold(GATEWAYS, 40, TTL_MS, dispatched=True))
    assert (await house(GetAiChatHold(company_id=ACME, hold_id=GATEWAYS), OPERATOR)).hold_state == "open"
    with pytest.raises(NotFound):
        await house(SettleAiChatHold(company_id=ACME, hold_id=GATEWAYS, tokens_used=1), OPERATOR)
    assert (await house(ReleaseAiChatHold(company_id=ACME, hold_id=GATEWAYS), OPERATOR)).hold_state == "released"


@pytest.mark.parametrize(
    ("release", "caller"),
    [(ReleaseAiChatHold(hold_id="h"), USER), (ReleaseAiChatHold(company_id=ACME, hold_id="h"), OPERATOR)],
)
async def test_whoever_takes_a_charge_back_stands_in_the_audit_log_once(release, caller, tmp_path):
    house = House(SqliteStore.open(tmp_path / "kvot.db", Rules()))
    await house(reserve(40))
    house.now_ms += TTL_MS
    assert (await house(GetAiChatHold(hold_id="h"))).hold_state == "charged"
    for _ in range(2):
        assert (await house(release, caller)).tokens_used == 0
    source = SqliteSource.open(tmp_path / "kvot.db", Rules())
    (line,) = [line async for part in source.shared() if isinstance(part, Audit) for line in part.lines]
    assert line == (house.now_ms, caller.principal.credential_id, "release", ACME, "h", '{"tokens_taken_back":40}')
    await source.close()
    found = await house.services.ledger.verify_shared()
    assert (found.audit_lines, found.differences) == (1, ())
    await house.store.close()


async def test_an_operator_sees_what_held_tokens_are_held_for(house):
    await house(reserve(10, "old", model="m", user_id="ann", feature="chat", provider="p"))
    house.now_ms += 1_000
    await house.services.ledger.reserve(ACME, NewHold(GATEWAYS, 20, TTL_MS, dispatched=True))
    await house(reserve(30, "short", ttl_seconds=60))
    listed = await house(AiChatHoldQuery(company_id=ACME), OPERATOR)
    assert [(each.id, each.tokens, each.is_of_gateway) for each in listed.results] == [
        ("old", 10, False),
        (GATEWAYS, 20, True),
        ("short", 30, False),
    ]
    old = listed.results[0]
    assert (old.state, old.provider, old.model, old.user_id, old.feature) == ("open", "p", "m", "ann", "chat")
    assert (old.created_at.ms, old.expires_at.ms, listed.at.ms) == (NOW_MS, NOW_MS + TTL_MS, NOW_MS + 1_000)
    assert listed.has_more is False


async def test_of_more_holds_than_fit_the_list_those_that_last_longest_are_on_it(house):
    for number in range(3):
        await house(reserve(10, f"h{number}", ttl_seconds=60 + number))
    listed = await house(AiChatHoldQuery(company_id=ACME, max_results=2), OPERATOR)
    assert ([each.id for each in listed.results], listed.has_more) == (["h1", "h2"], True)
    everything = await house(AiChatHoldQuery(company_id=ACME, max_results=3), OPERATOR)
    assert (len(everything.results), everything.has_more) == (3, False)


async def test_the_list_of_holds_is_an_operator_s(house):
    with pytest.raises(Forbidden):
        await house(AiChatHoldQuery())


async def test_nobody_else_makes_a_hold_with_an_id_of_the_gateway(house):
    with pytest.raises(InvalidRequest, match="version 8"):
        await house(reserve(hold_id=GATEWAYS))


async def test_a_settlement_counts_once_and_another_is_a_conflict(house):
    await house(reserve())
    settle = SettleAiChatHold(hold_id="h", tokens_used=25, input_tokens=20)
    assert await house(settle) == await house(settle)
    for other in (
        SettleAiChatHold(hold_id="h", tokens_used=26, input_tokens=20),
        SettleAiChatHold(hold_id="h", tokens_used=25, input_tokens=19),
        SettleAiChatHold(hold_id="h", tokens_used=25, input_tokens=20, source="estimated"),
    ):
        with pytest.raises(Conflict) as caught:
            await house(other)
        assert caught.value.code == "Conflict"
    assert await house.used() == 25


async def test_more_than_was_held_is_recorded_truthfully(house):
    await house(reserve())
    settled = await house(SettleAiChatHold(hold_id="h", tokens_used=140))
    assert (settled.tokens_used, settled.tokens_remaining, settled.is_within_budget) == (140, 0, False)


async def test_a_released_hold_leaves_nothing(house):
    await house(reserve())
    assert numbers(await house(ReleaseAiChatHold(hold_id="h"))) == ("released", 40, None, 0, 0)
    assert numbers(await house(ReleaseAiChatHold(hold_id="h"))) == ("released", 40, None, 0, 0)


async def test_a_hold_that_runs_out_is_charged_and_a_late_word_puts_it_right(house):
    await house(reserve(40, "settled"))
    await house(reserve(30, "released"))
    house.now_ms += TTL_MS
    assert numbers(await house(GetAiChatHold(hold_id="settled"))) == ("charged", 40, None, 70, 0)
    assert numbers(await house(SettleAiChatHold(hold_id="settled", tokens_used=25)))[:4] == ("settled", 40, 25, 55)
    assert numbers(await house(ReleaseAiChatHold(hold_id="released")))[:4] == ("released", 30, None, 25)


async def test_a_renewed_hold_lasts_longer_and_never_shorter(house):
    await house(reserve())
    house.now_ms += TTL_MS - 1
    renewed = await house(RenewAiChatHold(hold_id="h", ttl_seconds=60))
    assert renewed.hold_expires_at.ms == house.now_ms + 60_000
    assert (await house(RenewAiChatHold(hold_id="h", ttl_seconds=1))).hold_expires_at == renewed.hold_expires_at
    assert (await house(RenewAiChatHold(hold_id="h"))).hold_expires_at.ms == house.now_ms + TTL_MS


# How a hold ended, what comes too late, and how it is answered.
async def _settle(house):
    await house(SettleAiChatHold(hold_id="h", tokens_used=5))


async def _release(house):
    await house(ReleaseAiChatHold(hold_id="h"))


async def _run_out(house):
    house.now_ms += TTL_MS


TOO_LATE = [
    (_settle, RenewAiChatHold(hold_id="h"), "settled"),
    (_settle, ReleaseAiChatHold(hold_id="h"), "settled"),
    (_settle, reserve(), "settled"),
    (_release, RenewAiChatHold(hold_id="h"), "released"),
    (_release, SettleAiChatHold(hold_id="h", tokens_used=5), "released"),
    (_release, reserve(), "released"),
    (_run_out, RenewAiChatHold(hold_id="h"), "charged"),
    (_run_out, reserve(), "charged"),
]


@pytest.mark.parametrize(("end", "request_", "state"), TOO_LATE)
async def test_what_comes_too_late_is_told_how_the_hold_ended_and_changes_nothing(house, end, request_, state):
    await house(reserve())
    await end(house)
    before = await house(GetAiChatHold(hold_id="h"))
    with pytest.raises(Conflict, match=state) as caught:
        await house(request_)
    assert caught.value.code == "HoldClosed"
    assert await house(GetAiChatHold(hold_id="h")) == before


UNKNOWN = [GetAiChatHold, RenewAiChatHold, ReleaseAiChatHold, lambda **id_: SettleAiChatHold(tokens_used=1, **id_)]


@pytest.mark.parametrize("make", UNKNOWN)
async def test_an_unknown_hold_is_not_found_and_neither_is_another_company_s(house, make):
    await house(reserve(5, "theirs", company_id=OTHER), OPERATOR)
    for hold_id in ("none", "theirs"):
        with pytest.raises(NotFound):
            await house(make(hold_id=hold_id))


async def test_a_hold_of_another_company_is_a_superadmin_s_to_make_and_settle(house):
    with pytest.raises(Forbidden):
        await house(reserve(company_id=OTHER))
    await house(reserve(company_id=OTHER), OPERATOR)
    settled = await house(SettleAiChatHold(company_id=OTHER, hold_id="h", tokens_used=3), OPERATOR)
    assert (settled.company_id, settled.tokens_used) == (OTHER, 3)
    assert await house.used() == 0


# -- ids -----------------------------------------------------------------------------------------------------


async def test_reserving_again_with_the_same_id_is_one_hold(house):
    first = await house(reserve(model="m"))
    assert await house(reserve(model="m")) == first
    for other in (reserve(41, model="m"), reserve(model="n"), reserve(model="m", ttl_seconds=60)):
        with pytest.raises(Conflict) as caught:
            await house(other)
        assert caught.value.code == "Conflict"
    assert (await house(GetAiChatHold(hold_id="h"))).tokens_held == 40


async def test_the_id_is_the_request_s_or_the_idempotency_key_or_made(house):
    caller = USER._replace(idempotency_key="key")
    assert (await house(reserve(1, "named"), caller)).hold_id == "named"
    assert (await house(reserve(1, None), caller)).hold_id == "key"
    assert (await house(reserve(1, None))).hold_id == "made"


BAD = [
    (reserve(0), "Tokens", "GreaterThan"),
    (reserve(-1), "Tokens", "GreaterThan"),
    (reserve(10**12 + 1), "Tokens", "InclusiveBetween"),
    (reserve(hold_id=""), "HoldId", "Length"),
    (reserve(hold_id="a b"), "HoldId", "RegularExpression"),
    (reserve(hold_id="."), "HoldId", "RegularExpression"),
    (reserve(hold_id=".."), "HoldId", "RegularExpression"),
    (reserve(ttl_seconds=0), "TtlSeconds", "InclusiveBetween"),
    (reserve(ttl_seconds=3_601), "TtlSeconds", "InclusiveBetween"),
    (reserve(user_id="x" * 256), "UserId", "Length"),
    (reserve(model="x" * 256), "Model", "Length"),
    (RenewAiChatHold(), "HoldId", "NotEmpty"),
    (RenewAiChatHold(hold_id="h", ttl_seconds=0), "TtlSeconds", "InclusiveBetween"),
    (SettleAiChatHold(hold_id="h"), "TokensUsed", "GreaterThan"),
    (SettleAiChatHold(hold_id="h", tokens_used=-1), "TokensUsed", "GreaterThan"),
    (SettleAiChatHold(hold_id="h", tokens_used=10**12 + 1), "TokensUsed", "InclusiveBetween"),
    (SettleAiChatHold(hold_id="h", tokens_used=1, cached_tokens=-1), "CachedTokens", "InclusiveBetween"),
    (SettleAiChatHold(hold_id="h", tokens_used=1, source="corrected"), "Source", "Enum"),
]


@pytest.mark.parametrize(("request_", "field", "code"), BAD)
async def test_bad_input_names_its_field_and_holds_nothing(house, request_, field, code):
    with pytest.raises(InvalidRequest) as caught:
        await house(request_)
    assert [(each.field, each.code) for each in caught.value.fields] == [(field, code)]
    assert caught.value.message.replace(" ", "").startswith(f"'{field}'") or field == "Source"
    assert (await house.services.ledger.usage(ACME)).tokens_held == 0


@pytest.mark.parametrize(("said", "kept"), [(None, "reported"), ("Estimated", "estimated"), ("partial", "partial")])
async def test_a_figure_keeps_its_source_and_the_call_its_names(house, said, kept):
    await house(reserve(model="m", provider="p", user_id="u", feature="f"))
    await house(SettleAiChatHold(hold_id="h", tokens_used=7, input_tokens=4, output_tokens=3, source=said))
    for by, label in {"model": "m", "user": "u", "feature": "f", "source": kept}.items():
        hour = NOW_MS // 3_600_000
        (share,) = await house.services.ledger.breakdown(ACME, by, first_hour=hour, end_hour=hour + 1)
        assert (share.label, share.tokens, share.input_tokens, share.output_tokens) == (label, 7, 4, 3)


# -- refusals ------------------------------------------------------------------------------------------------


async def test_what_fits_exactly_is_held_and_one_more_is_refused(house):
    await house(RecordAiChatUsage(tokens_used=30))
    await house(reserve(50, "a"))
    await house(reserve(20, "b"))
    with pytest.raises(BudgetExceeded) as caught:
        await house(reserve(1, "c"))
    error = caught.value
    assert (error.refusal, error.tokens) == (Refusal.OPEN_HOLDS, 1)
    assert (error.usage.tokens_used, error.usage.tokens_held, error.usage.token_limit) == (30, 70, 100)
    assert "1 tokens do not fit: of 100 in 1 day 30 are used and 70 held." in error.message


async def test_a_refusal_is_not_remembered(house):
    await house(reserve(100, "a"))
    with pytest.raises(BudgetExceeded):
        await house(reserve(40, "b"))
    await house(ReleaseAiChatHold(hold_id="a"))
    assert (await house(reserve(40, "b"))).hold_state == "open"


# When 60 tokens were used, and when 40 more are asked for while 30 are held for a while: the whole seconds to wait.
WAITS = [(0, 0, 86_400), (0, 1, 86_400), (1, 1, 86_400), (999, 1_000, 86_400), (0, 1_500, 86_399), (250, 2_000, 86_399)]


@pytest.mark.parametrize(("used_at", "asked_at", "wait_s"), WAITS)
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
async def test_tokens_fit_when_the_wait_is_over_and_not_a_second_before(engine, used_at, asked_at, wait_s, tmp_path):
    house = House(SqliteStore.open(tmp_path / "kvot.db", Rules()) if engine == "sqlite" else None)
    await house(UpdateAiChatBudget(company_id=ACME, token_limit=100, window_days=1), OPERATOR)
    house.now_ms = NOW_MS + used_at
    await house(RecordAiChatUsage(tokens_used=70))
    house.now_ms = NOW_MS + asked_at
    with pytest.raises(BudgetExceeded) as caught:
        await house(reserve())
    assert caught.value.retry_after_s == wait_s
    house.now_ms = NOW_MS + asked_at + (wait_s - 1) * 1_000
    with pytest.raises(BudgetExceeded):
        await house(reserve())
    house.now_ms += 1_000
    assert (await house(reserve())).hold_state == "open"
    await house.store.close()


async def test_the_wait_counts_open_holds_as_charged(house):
    """An open hold may yet be charged when it runs out: its tokens come back a window after that."""
    await house(reserve(80))
    with pytest.raises(BudgetExceeded) as caught:
        await house(reserve(40, "other"))
    assert (caught.value.fits_after_ms, caught.value.retry_after_ms) == (TTL_MS + MS_PER_DAY, holds_wait_ms("other"))


@pytest.mark.parametrize(("used", "reason"), [(60, Refusal.OPEN_HOLDS), (61, Refusal.OVER_LIMIT)])
async def test_open_holds_are_the_reason_only_where_the_tokens_fit_beside_what_is_used(house, used, reason):
    await house(RecordAiChatUsage(tokens_used=used))
    await house(reserve(100 - used))
    with pytest.raises(BudgetExceeded) as caught:
        await house(reserve(40, "other"))
    assert caught.value.refusal is reason


async def test_more_than_the_limit_never_fits(house):
    with pytest.raises(BudgetExceeded, match="never fit: the limit is 100") as caught:
        await house(reserve(101))
    assert (caught.value.refusal, caught.value.retry_after_s) == (Refusal.ABOVE_LIMIT, None)


def test_a_ledger_in_doubt_refuses_without_a_wait():
    usage = Usage(ACME, NOW_MS, MS_PER_DAY, 0, 0, 100, in_doubt=True)
    error = budget_exceeded(Decision(Status.IN_DOUBT, usage), "h", 1)
    assert (error.refusal, error.retry_after_s) == (Refusal.IN_DOUBT, None)
    assert "in doubt" in error.message


async def test_64_clients_get_what_fits_and_not_a_token_more(tmp_path):
    """A budget that fits one try in a hundred, on the engine that runs in earnest."""
    house = House(SqliteStore.open(tmp_path / "kvot.db", Rules()))
    await house(UpdateAiChatBudget(company_id=ACME, token_limit=16 * 7 + 6), OPERATOR)
    admitted = []

    async def client(number):
        for attempt in range(25):
            try:
                admitted.append(await house(reserve(7, f"{number}-{attempt}")))
            except BudgetExceeded:
                continue

    await asyncio.gather(*(client(number) for number in range(64)))
    assert len(admitted) == 16
    assert (await house.services.ledger.usage(ACME)).tokens_held == 16 * 7
    await house.store.close()
