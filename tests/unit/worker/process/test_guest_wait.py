"""Places to wait in, runs that go on, and words that may be repeated."""

from __future__ import annotations

import asyncio
import logging

import pytest

from worker.plain_word import plain_word
from worker.process.guest_wait import GuestWait


async def test_places_are_given_back() -> None:
    """As many wait as there are places; an exception gives its place back too."""
    waiting = GuestWait(1)
    with waiting.place() as first, waiting.place() as second:
        assert (first, second) == (True, False)
    with pytest.raises(KeyError), waiting.place():
        raise KeyError
    with waiting.place() as again:
        assert again


async def test_runs_go_on_and_are_waited_for_at_the_end() -> None:
    """Nobody holds the task; `finish` sees its end, or gives up."""
    waiting, ended = GuestWait(), asyncio.Event()

    async def run() -> None:
        await asyncio.sleep(0.01)
        ended.set()

    waiting.start(run())
    before = waiting.busy
    await waiting.finish(5)
    assert ended.is_set()
    assert (before, waiting.busy) == (True, False)
    await waiting.finish(0)


async def test_a_run_that_fails_is_logged_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Its words may hold an address."""
    waiting = GuestWait()

    async def run() -> None:
        raise ValueError("ann@private.example")

    with caplog.at_level(logging.ERROR):
        waiting.start(run())
        await waiting.finish(5)
        await asyncio.sleep(0)
    assert "ValueError" in caplog.text
    assert "private.example" not in caplog.text


@pytest.mark.parametrize("word", ["contoso", "display_name", "x-1.2"])
def test_plain_words_are_repeated(word: str) -> None:
    """Names of connections, fields and jobs."""
    assert plain_word(word) == word


@pytest.mark.parametrize("word", ["ann@private.example", "a b", "", "x" * 49, None, 5, ["a"], "ä", "a\n"])
def test_anything_else_is_not(word: object) -> None:
    """Above all no address."""
    assert plain_word(word) == "(not shown)"
