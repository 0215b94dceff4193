"""Holds of the Python client against a real server on a socket, through the blocking and the asynchronous shell."""

import asyncio
import os
import signal
import threading
from uuid import uuid4

import pytest

from kvot.client import AsyncClient, BudgetExceeded, Client, StoreUnavailable, UnsettledHold
from kvot.client.holds import HoldLife
from kvot.contract.budget import UpdateAiChatBudget
from kvot.contract.holds import AiChatHoldResponse, GetAiChatHold
from kvot.contract.usage import GetAiChatUsage
from kvot.core.errors import Conflict, InvalidRequest, NotAuthenticated, Refusal, holds_wait_ms, whole_seconds
from tests.client.servers import HANGS, NOW_MS, raw_reply

TTL_MS = 120_000


@pytest.fixture
def company():
    return str(uuid4())


@pytest.fixture
def url(server):
    return f"http://{server.host}:{server.port}"


@pytest.fixture
def client(url, company):
    with Client(url, company) as client:
        yield client


class Blocking:
    """The asynchronous shell, waited for: so that each sentence below is said of both."""

    def __init__(self, url, api_key, **options):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, api_key, **options)

    def hold(self, tokens, **options):
        return _BlockingHold(self._runner, self._client.hold(tokens, **options))

    def call(self, request):
        return self._runner.run(self._client.call(request))

    def wait_for(self, function):
        """Let the client's tasks go on while a function waits for what they do."""
        return self._runner.run(asyncio.to_thread(function))

    def close(self):
        self._runner.run(self._client.close())
        self._runner.close()


class _BlockingHold:
    def __init__(self, runner, hold):
        self._runner, self._hold = runner, hold

    def __getattr__(self, name):
        return getattr(self._hold, name)

    def __enter__(self):
        self._runner.run(self._hold.__aenter__())
        return self

    def __exit__(self, *error):
        self._runner.run(self._hold.__aexit__(*error))

    def settle(self, tokens_used, **figures):
        return self._runner.run(self._hold.settle(tokens_used, **figures))

    def release(self):
        return self._runner.run(self._hold.release())


@pytest.fixture(params=["sync", "async"])
def make(request):
    """Opens a shell on an address: closed when the test is over."""
    made = []

    def make(url, api_key, **options):
        made.append((Client if request.param == "sync" else Blocking)(url, api_key, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def shell(make, url, company):
    return make(url, company)


def limit_to(url, company, tokens):
    with Client(url, "super") as operator:
        operator.call(UpdateAiChatBudget(company_id=company, token_limit=tokens, window_days=1))


def state(client, hold):
    reply = client.call(GetAiChatHold(hold_id=hold.id))
    return reply.hold_state, reply.tokens_used, reply.tokens_held


def test_a_block_holds_tokens_and_settles_what_was_used(shell, client):
    with shell.hold(1_500, model="m", feature="f") as hold:
        assert state(client, hold) == ("open", 0, 1_500)
        assert hold.response.hold_expires_at.ms == NOW_MS + TTL_MS
        settled = hold.settle(700, input_tokens=500, output_tokens=200, source="estimated")
        assert hold.settle(700, input_tokens=500, output_tokens=200, source="estimated") == settled
    assert (settled.hold_state, settled.hold_tokens_used, settled.tokens_used) == ("settled", 700, 700)
    assert hold.response == settled


def test_a_block_releases_what_was_not_used(shell, client):
    with shell.hold(1_500) as hold:
        assert hold.release().hold_state == "released"
    assert state(client, hold) == ("released", 0, 0)


@pytest.mark.parametrize("name", ["modle", "reserving", "hold"])
def test_an_option_that_there_is_not_is_told_by_the_method_that_was_called(shell, name):
    said = rf"^(Async)?Client\.hold\(\) got an unexpected keyword argument '{name}'$"
    with pytest.raises(TypeError, match=said):
        shell.hold(5, **{name: "m"})


@pytest.mark.parametrize("name", ["hold_id", "prompt_tokens"])
def test_so_is_a_figure_that_there_is_not_and_the_hold_stays_open(shell, client, name):
    with shell.hold(5) as hold:
        with pytest.raises(TypeError, match=rf"^(Async)?Hold\.settle\(\) got an unexpected keyword argument '{name}'$"):
            hold.settle(3, **{name: 3})
        assert state(client, hold) == ("open", 0, 5)
        hold.settle(3)


def test_what_does_not_fit_raises_the_refusal_and_the_block_does_not_run(shell, url, company, client):
    limit_to(url, company, 1_000)
    with shell.hold(800) as held:
        with pytest.raises(BudgetExceeded, match="do not fit") as caught, shell.hold(300, hold_id="other"):
            pytest.fail("the block ran")
        held.release()
    error = caught.value
    soon_s = whole_seconds(holds_wait_ms("other"))
    assert (error.fits_after_ms, error.retry_after_s) == ((86_400 + 120) * 1_000, soon_s)
    assert (error.usage.company_id, error.usage.tokens_held, error.usage.token_limit) == (company, 800, 1_000)
    assert (error.refusal, error.tokens) == (Refusal.OPEN_HOLDS, 300)
    with pytest.raises(BudgetExceeded) as caught, shell.hold(1_001):
        pytest.fail("the block ran")
    assert caught.value.retry_after_s is None


def test_an_exception_leaves_the_hold_to_be_charged(shell, client, clock):
    with pytest.raises(ZeroDivisionError), shell.hold(900) as hold:
        raise ZeroDivisionError
    assert state(client, hold) == ("open", 0, 900)
    clock.ms += TTL_MS
    assert state(client, hold) == ("charged", 900, 0)
    assert hold.settle(40).tokens_used == 40


def test_a_block_that_ends_well_without_a_word_warns_and_is_charged(shell, client, clock):
    with pytest.warns(UnsettledHold, match="charged at 900 tokens"), shell.hold(900) as hold:
        pass
    clock.ms += TTL_MS
    assert state(client, hold) == ("charged", 900, 0)
    assert hold.release().tokens_used == 0


def renewals(server, count):
    """Wait until the server has carried out so many."""
    while count:
        _, fields = server.lines.next()
        count -= fields["operation"] == "RenewAiChatHold"


def test_a_hold_is_renewed_as_long_as_its_block_runs(make, url, company, server, client, clock):
    shell = make(url, company)
    wait_for = getattr(shell, "wait_for", lambda function: function())
    with shell.hold(900, ttl_s=1) as hold:
        clock.ms += 900
        wait_for(lambda: renewals(server, 2))  # the first may have come before the clock moved on
        clock.ms += 900
        assert state(client, hold) == ("open", 0, 900)
        hold.settle(5)
    assert state(client, hold) == ("settled", 5, 0)


@pytest.mark.parametrize(("ttl_s", "every_s"), [(1, 1 / 3), (120, 40), (3_600, 1_200)])
def test_a_hold_is_renewed_three_times_before_it_could_run_out(ttl_s, every_s):
    assert HoldLife(1, 60.0, ttl_s=ttl_s).renew_every_s == every_s


def test_a_renewal_that_gets_lost_is_followed_by_another(make, lossy, company, server, client):
    shell = make(lossy.url, company)
    wait_for = getattr(shell, "wait_for", lambda function: function())
    with shell.hold(900, ttl_s=1) as hold:
        lossy.losses = 1
        wait_for(lambda: renewals(server, 2))
        hold.settle(5)
    assert (lossy.losses, state(client, hold)) == (0, ("settled", 5, 0))


def test_a_renewal_that_comes_too_late_does_not_disturb_the_block(make, url, company, server, client):
    shell = make(url, company)
    wait_for = getattr(shell, "wait_for", lambda function: function())
    with shell.hold(900, ttl_s=1) as hold:
        with Client(url, company) as other, other.hold(900, ttl_s=1, hold_id=hold.id) as same:
            same.settle(7)
        wait_for(lambda: renewals(server, 1))
        with pytest.raises(Conflict):
            hold.settle(8)
        hold.settle(7)
    assert client.call(GetAiChatUsage()).tokens_used == 7


def test_a_company_may_be_named_by_a_superadmin(make, url, company, client):
    with make(url, "super").hold(10, company_id=company) as hold:
        hold.settle(3)
    assert client.call(GetAiChatUsage()).tokens_used == 3


def test_a_reply_that_got_lost_is_asked_for_again_and_counts_once(make, lossy, company, client):
    shell = make(lossy.url, company)
    lossy.losses = 1
    with shell.hold(50) as hold:
        assert state(client, hold) == ("open", 0, 50)
        lossy.losses = 1
        assert hold.settle(20).tokens_used == 20
    assert lossy.losses == 0


def test_tokens_that_may_be_held_for_a_block_that_never_runs_are_released(make, lossy, company, client):
    shell = make(lossy.url, company)
    lossy.losses = 3
    hold = shell.hold(50)
    with pytest.raises(StoreUnavailable), hold:
        pytest.fail("the block ran")
    assert state(client, hold) == ("released", 0, 0)


def test_an_id_that_the_caller_gave_is_never_released_for_it(make, lossy, company, client):
    shell = make(lossy.url, company)
    with client.hold(50, hold_id="turn") as hold:
        lossy.losses = 3
        with pytest.raises(StoreUnavailable), shell.hold(50, hold_id="turn"):
            pytest.fail("the block ran")
        assert state(client, hold) == ("open", 0, 50)
        hold.settle(40)


def test_whoever_repeats_with_the_same_id_gets_the_same_hold(make, lossy, company):
    shell = make(lossy.url, company)
    lossy.losses = 3
    with pytest.raises(StoreUnavailable), shell.hold(50, hold_id="again"):
        pytest.fail("the block ran")
    with shell.hold(50, hold_id="again") as hold:
        assert hold.settle(1).tokens_held == 0


CHUNKED = b"transfer-encoding: chunked\r\n"
UNREADABLE = [
    *(raw_reply(200), raw_reply(307), raw_reply(500), raw_reply(502), raw_reply(504), raw_reply(503, b'{"a":5}')),
    *(raw_reply(200, b"{}"), raw_reply(200, b"xx", b"content-encoding: gzip\r\n"), raw_reply(200, b"{}", CHUNKED)),
    *(raw_reply(204, b""), b"SSH-2.0\r\n", b""),
]


@pytest.mark.parametrize("reply", UNREADABLE, ids=lambda reply: repr(reply[9:40]))
def test_a_reply_that_nobody_can_read_is_as_one_that_was_lost(make, lossy, company, client, reply):
    shell = make(lossy.url, company)
    lossy.instead["POST"] = [reply]
    with shell.hold(50) as hold:
        lossy.instead["POST"] = [reply] * 2
        assert hold.settle(20).tokens_used == 20


@pytest.mark.parametrize("reply", [raw_reply(200, b"{}"), raw_reply(504), b""], ids=lambda reply: repr(reply[9:40]))
def test_and_if_no_other_comes_the_tokens_are_released(make, lossy, company, client, reply):
    shell = make(lossy.url, company)
    lossy.instead["POST"], never = [reply] * 3, shell.hold(50)
    with pytest.raises(StoreUnavailable), never:
        pytest.fail("the block ran")
    assert state(client, never) == ("released", 0, 0)


def test_a_server_that_hangs_is_left_after_the_time_that_is_said(make, lossy, company, client):
    shell = make(lossy.url, company, timeout_s=0.1)
    lossy.instead["POST"], hold = [HANGS] * 3, shell.hold(50)
    with pytest.raises(StoreUnavailable, match="did not answer within"), hold:
        pytest.fail("the block ran")
    assert state(client, hold) == ("released", 0, 0)


async def test_tokens_of_a_block_that_was_cancelled_while_it_was_entered_are_released(lossy, url, company):
    lossy.may_answer.clear()
    async with AsyncClient(lossy.url, company) as shell, AsyncClient(url, company) as client:
        hold = shell.hold(50)
        entering = asyncio.create_task(hold.__aenter__())
        await asyncio.to_thread(lossy.is_asked.wait)
        entering.cancel()
        lossy.may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await entering
        left = await client.call(GetAiChatHold(hold_id=hold.id))
        assert isinstance(left, AiChatHoldResponse)
        assert left.hold_state == "released"


def test_a_server_that_is_not_there_is_unavailable(make):
    with pytest.raises(StoreUnavailable), make("http://127.0.0.1:1", "k").hold(1):
        pytest.fail("the block ran")


@pytest.mark.parametrize("ttl_s", [-1, 0, 3_601])
def test_a_time_that_no_hold_can_last_is_refused_by_the_server(shell, ttl_s):
    with pytest.raises(InvalidRequest, match="between 1 and 3600"), shell.hold(5, ttl_s=ttl_s):
        pytest.fail("the block ran")


def test_a_wrong_key_is_refused(make, url):
    with pytest.raises(NotAuthenticated), make(url, "wrong").hold(1):
        pytest.fail("the block ran")


def test_a_hold_is_for_one_block(shell, client):
    hold = shell.hold(5)
    with hold:
        hold.settle(3)
    with pytest.raises(RuntimeError, match="entered before"), hold:
        pytest.fail("the block ran")


@pytest.mark.parametrize("options", [{"ttl_s": "3"}, {"ttl_s": None}, {"ttl_s": 1.5}, {"hold_id": 5}])
def test_an_option_of_the_wrong_type_is_told_at_once(make, options):
    with pytest.raises(TypeError, match="must be"):
        make("http://127.0.0.1:1", "k").hold(5, **options)


def test_a_renewal_is_told_and_what_ended_the_hold_stands(make, lossy, company, server, clock):
    shell = make(lossy.url, company)
    wait_for = getattr(shell, "wait_for", lambda function: function())
    with shell.hold(900, ttl_s=1) as hold:
        clock.ms += 900
        wait_for(lambda: renewals(server, 2))
        assert hold.response.hold_expires_at.ms == NOW_MS + 1_900
        assert hold.is_open
        hold.settle(5)
        assert (hold.is_open, hold.response.hold_state) == (False, "settled")


@pytest.mark.parametrize(
    "reply", [HANGS, raw_reply(200, b"{}"), raw_reply(429), raw_reply(502)], ids=lambda reply: repr(reply[9:40])
)
def test_a_renewal_without_a_good_reply_is_followed_by_another(make, lossy, company, server, reply):
    shell = make(lossy.url, company)
    wait_for = getattr(shell, "wait_for", lambda function: function())
    with shell.hold(900, ttl_s=1) as hold:
        lossy.instead["PUT"] = [reply]
        wait_for(lambda: renewals(server, 2))
        hold.settle(5)


def test_tokens_of_a_block_that_was_interrupted_while_it_was_entered_are_released(lossy, company, client):
    def interrupt():
        lossy.is_asked.wait()
        os.kill(os.getpid(), signal.SIGINT)

    lossy.instead["POST"] = [HANGS]
    interrupting = threading.Thread(target=interrupt)
    with Client(lossy.url, company) as shell:
        hold, asked_on = shell.hold(50), shell._pool
        interrupting.start()
        with pytest.raises(KeyboardInterrupt), hold:
            pytest.fail("the block ran")
        assert shell._pool is not asked_on  # its lock may be taken for good
    interrupting.join()
    assert state(client, hold) == ("released", 0, 0)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_whatever_a_signal_raises_before_the_block_leaves_nothing_behind(monkeypatch, client, raised):
    def interrupted():
        start()
        raise raised

    hold = client.hold(5, ttl_s=1)
    start = hold._renewing.start
    monkeypatch.setattr(hold._renewing, "start", interrupted)
    with pytest.raises(raised), hold:
        pytest.fail("the block ran")
    hold._renewing.join()
    assert state(client, hold) == ("released", 0, 0)


def test_a_hold_that_was_forgotten_is_renewed_no_more(client):
    hold = client.hold(5, ttl_s=1)
    hold.__enter__()
    renewing = hold._renewing
    del hold
    renewing.join(10)
    assert not renewing.is_alive()


def test_a_client_that_was_closed_is_not_asked(url, company):
    client = Client(url, company)
    hold = client.hold(5, ttl_s=1)
    hold.__enter__()
    client.close()
    hold._renewing.join()
    with pytest.raises(RuntimeError, match="closed"):
        hold.settle(1)


async def test_a_client_belongs_to_one_event_loop(url, company):
    async with AsyncClient(url, company) as client:
        await client.call(GetAiChatUsage())
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, client.call(GetAiChatUsage()))
