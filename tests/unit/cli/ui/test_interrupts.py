"""Signals end a command whole: what it has begun is put back, and one sentence is all it says."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from cli.ui.interrupts import Interrupted, Interrupts

_CUT_SHORT = """
import asyncio, os, signal
from cli.ui.interrupts import Interrupted, Interrupts

async def hang():
    try:
        await asyncio.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)

async def work():
    other = asyncio.create_task(hang())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    await asyncio.wait({other})

try:
    with Interrupts().caught():
        asyncio.run(work())
except Interrupted:
    print("Stopped.")
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Signals mean what they meant, for the tests to come."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _die_twice(second: signal.Signals, ended: list[str]) -> Callable[[], None]:
    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), second)
            await asyncio.sleep(0)
            ended.append("put back")

    def run() -> None:
        with Interrupts().caught():
            asyncio.run(work())

    return run


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_twice_lets_a_command_put_back_what_it_began(second: signal.Signals) -> None:
    """`timeout` sends its signal to a process and to its group: that is one wish, and no hurry."""
    ended: list[str] = []
    with pytest.raises(Interrupted):
        _die_twice(second, ended)()
    assert ended == ["put back"]
    os.kill(os.getpid(), second)  # while the sentence is told: it does not kill the command either


def test_a_second_ctrl_c_ends_at_once_and_python_says_nothing() -> None:
    """Whoever presses it twice does not wait, and reads no traceback of what was cut short."""
    done = subprocess.run([sys.executable, "-c", _CUT_SHORT], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("Stopped.\n", "", 0)
