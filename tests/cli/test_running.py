"""Ctrl-C, whenever it comes."""

import asyncio
import signal
import subprocess
import sys

import pytest

from kvot.cli.running import Runner, run
from tests.cli.support import SRC


@pytest.fixture(autouse=True)
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


async def forever(cleaned_up):
    try:
        await asyncio.Event().wait()
    finally:
        cleaned_up.append(True)


def test_ctrl_c_ends_what_waits_after_it_has_cleaned_up():
    cleaned_up: list[bool] = []

    async def work():
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await forever(cleaned_up)

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert cleaned_up == [True]


def test_ctrl_c_in_the_midst_of_a_callback_lets_it_come_to_its_end():
    """asyncio's callback for a connection that is made looks whether its future is done, and then sets its result."""
    found = []

    async def work():
        made = asyncio.get_running_loop().create_future()

        def connected():
            signal.raise_signal(signal.SIGINT)
            found.append(made.done())
            made.set_result(None)

        asyncio.get_running_loop().call_soon(connected)
        await made
        await forever(found)

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert found[0] is False


def test_the_second_ctrl_c_waits_for_nothing():
    async def work():
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        run(work())


def test_what_comes_to_its_end_is_not_interrupted_any_more():
    runner = Runner()
    assert [runner.run(asyncio.sleep(0, number)) for number in (1, 2)] == [1, 2]
    runner.close()


def test_a_command_that_listens_itself_goes_on_doing_so():
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(True))

    async def work():
        signal.raise_signal(signal.SIGINT)
        return 5

    assert (run(work()), heard) == (5, [True])
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_while_a_command_is_still_loading_is_told_in_one_line():
    script = """
import signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "cyclopts":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from kvot.cli import main
sys.exit(main(["usage"]))"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=SRC, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "kvot: Interrupted.\n")


def test_sigterm_ends_a_command_once_it_has_cleaned_up():
    script = """
import asyncio, signal
from kvot.cli.running import run
async def work():
    try:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)
run(work())"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=SRC, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGTERM, "cleaned up\n", "")
