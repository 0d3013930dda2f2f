"""How long Graph takes to answer."""

from __future__ import annotations

import pytest

from worker.latency import UNKNOWN_S, Latencies


def test_nothing_seen_is_a_second() -> None:
    """As good as any guess; one connection says nothing of another."""
    latencies = Latencies()
    latencies.learn("one", 0.2)
    assert latencies.of("two") == UNKNOWN_S == 1


def test_the_last_answers_count_most() -> None:
    """The first is believed at once; one slow answer moves little, many move all."""
    latencies = Latencies()
    latencies.learn("one", 0.2)
    assert latencies.of("one") == 0.2
    latencies.learn("one", 1.0)
    assert latencies.of("one") == pytest.approx(0.3)
    for _ in range(50):
        latencies.learn("one", 1.0)
    assert latencies.of("one") == pytest.approx(1, abs=0.01)
