"""How long Graph takes to answer."""

from __future__ import annotations

from worker.graph.latency import UNKNOWN_S, Latencies


def test_nothing_seen_is_a_second() -> None:
    """As good as any guess; one connection says nothing of another."""
    latencies = Latencies()
    latencies.learn("one", 0.2)
    assert latencies.of("two") == UNKNOWN_S == 1


def test_a_slow_answer_among_others_moves_nothing() -> None:
    """The first is believed at once; over a new connection it took longer, and the next ones say
    so.
    """
    latencies = Latencies()
    latencies.learn("one", 0.4)
    assert latencies.of("one") == 0.4
    latencies.learn("one", 0.1)
    assert latencies.of("one") == 0.1
    latencies.learn("one", 0.1)
    latencies.learn("one", 9.0)
    assert latencies.of("one") == 0.1
    for _ in range(5):
        latencies.learn("one", 1.0)
    assert latencies.of("one") == 1.0, "slow for good"
