"""Clocks that disagree, and one that is put forward."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.clocks import Clocks

HOST = "https://graph"
NOW_MS = 1_800_000_000_000


class _Time:
    def __init__(self) -> None:
        self.s = 5000.0

    def __call__(self) -> float:
        return self.s


def test_a_time_of_the_ledger_on_graphs_clock() -> None:
    """Graph ten seconds ahead of Redis: so is every time."""
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_redis(NOW_MS)
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000 + 10, UTC))
    time.s += 3
    assert clocks.redis_ms() == NOW_MS + 3000
    assert clocks.graph_time(HOST, NOW_MS - 60_000) == pytest.approx(NOW_MS / 1000 - 50 + 0.5)


def test_a_clock_put_forward_makes_nothing_older() -> None:
    """An hour ahead: a mark of before is as old as it is by our clock, on Graph's clock too; a mark
    of after likewise.
    """
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_redis(NOW_MS)
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000, UTC))
    time.s += 5
    clocks.learn_redis(NOW_MS + 5000 + 3_600_000)
    mark_ms = NOW_MS + 1000
    assert clocks.age_s(mark_ms, clocks.redis_ms()) == pytest.approx(4)
    assert clocks.graph_time(HOST, mark_ms) == pytest.approx(NOW_MS / 1000 + 1.5)
    time.s += 7
    assert clocks.age_s(mark_ms, clocks.redis_ms()) == pytest.approx(11)
    assert clocks.age_s(NOW_MS + 3_606_000, clocks.redis_ms()) == pytest.approx(6)


def test_a_clock_put_right_again_is_no_excuse() -> None:
    """Forward and back: what is marked afterwards ages as ever."""
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_redis(NOW_MS)
    clocks.learn_redis(NOW_MS + 3_600_000)
    time.s += 5
    clocks.learn_redis(NOW_MS - 10_000_000)
    mark_ms = clocks.redis_ms()
    time.s += 60
    assert clocks.age_s(mark_ms, clocks.redis_ms()) == pytest.approx(60)


def test_a_late_answer_is_no_jump() -> None:
    """An answer that took a second, then one that did not."""
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_redis(NOW_MS - 1000)
    time.s += 5
    clocks.learn_redis(NOW_MS + 5000)
    assert clocks.age_s(NOW_MS - 10_000, NOW_MS + 5000) == pytest.approx(15)


def test_a_clock_put_back_makes_nothing_younger() -> None:
    """An hour ahead, then ten minutes back: what was marked before, between and after is as old as
    it is by our clock.
    """
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000, UTC))
    clocks.learn_redis(NOW_MS)
    before_ms = NOW_MS + 1000
    time.s += 5
    clocks.learn_redis(NOW_MS + 5000 + 3_600_000)
    between_ms = NOW_MS + 3_600_000 + 6000
    time.s += 5
    clocks.learn_redis(NOW_MS + 10_000 + 3_000_000)
    after_ms = NOW_MS + 3_000_000 + 11_000
    time.s += 5
    ages = [clocks.age_s(mark_ms, clocks.redis_ms()) for mark_ms in (before_ms, between_ms, after_ms)]
    assert ages == pytest.approx([14, 9, 4])
    assert clocks.graph_time(HOST, between_ms) == pytest.approx(NOW_MS / 1000 + 6.5)


def test_a_time_that_was_twice() -> None:
    """A few seconds back: a mark is as young as it may be, so that nothing is settled early, but a
    guest created at once is of that attempt.
    """
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000, UTC))
    clocks.learn_redis(NOW_MS)
    time.s += 5
    clocks.learn_redis(NOW_MS + 5000 - 20_000)
    time.s += 25
    mark_ms = NOW_MS + 4000
    assert clocks.age_s(mark_ms, clocks.redis_ms()) == pytest.approx(6)
    assert clocks.graph_time(HOST, mark_ms) == pytest.approx(NOW_MS / 1000 + 4.5)
    clocks.learn_redis(clocks.redis_ms() - 3_600_000)
    time.s += 3600
    mark_ms = clocks.redis_ms()
    assert clocks.graph_time(HOST, mark_ms) == pytest.approx(NOW_MS / 1000 + 3630.5)


def test_a_time_that_never_was_is_now() -> None:
    """Written by another process, before the clock was put back and we first saw it."""
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000, UTC))
    clocks.learn_redis(NOW_MS)
    assert clocks.age_s(NOW_MS + 3_600_000, clocks.redis_ms()) == 0
    assert clocks.graph_time(HOST, NOW_MS + 3_600_000) == pytest.approx(NOW_MS / 1000 + 0.5)


def test_an_answer_that_came_late_is_not_believed() -> None:
    """Redis was asked, and the process stood still: by what it heard, a row would have been sent
    later than its guest was made.
    """
    time = _Time()
    clocks = Clocks(time)
    clocks.learn_redis(NOW_MS, clocks.now())
    clocks.learn_graph(HOST, datetime.fromtimestamp(NOW_MS / 1000, UTC))
    for late_s in (1.5, 30.0):
        asked_s, said_ms = clocks.now(), clocks.redis_ms()
        time.s += late_s
        clocks.learn_redis(said_ms, asked_s)
        assert clocks.graph_time(HOST, NOW_MS) == pytest.approx(NOW_MS / 1000 + 0.5)
        assert clocks.age_s(NOW_MS, clocks.redis_ms()) == pytest.approx(time.s - 5000)
