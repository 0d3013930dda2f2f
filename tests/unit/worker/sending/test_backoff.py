from __future__ import annotations

import random

import pytest

from worker.sending.backoff import Backoff


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> _Clock:
    """A clock that stands."""
    return _Clock()


def _after(backoff: Backoff, clock: _Clock, times: int, retry_after_s: float | None = None) -> list[float]:
    """Fail so often, each time when the last wait is over."""
    waits = []
    for _ in range(times):
        waits.append(backoff.failed("c", retry_after_s))
        clock.now_s += waits[-1]
    return waits


def test_waits_double_up_to_a_minute(clock: _Clock) -> None:
    """With jitter of a quarter either way."""
    waits = _after(Backoff(random.Random(1), clock), clock, 12)
    for wait_s, plain_s in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60), strict=True):
        assert plain_s * 0.75 <= wait_s <= plain_s * 1.25


def test_a_credible_retry_after_wins(clock: _Clock) -> None:
    """However often."""
    assert _after(Backoff(now=clock), clock, 4, 7.0) == [7.0] * 4


def test_a_tiny_retry_after_is_believed_once(clock: _Clock) -> None:
    """Directory 429s are known to say 1 whatever the truth."""
    waits = _after(Backoff(random.Random(1), clock), clock, 4, 1.0)
    assert waits[0] == 1.0
    assert waits[1] > 1.0
    assert waits[3] > waits[2] > waits[1]


def test_many_chunks_in_one_trouble_count_once(clock: _Clock) -> None:
    """Fourteen batches refused at once are one refusal: the fourteenth does not wait a minute."""
    backoff = Backoff(random.Random(1), clock)
    waits = [backoff.failed("c") for _ in range(14)]
    assert waits == [waits[0]] * 14
    clock.now_s += waits[0]
    assert 1.5 <= backoff.failed("c") <= 2.5


def test_a_longer_word_of_the_other_side_prolongs_the_wait(clock: _Clock) -> None:
    """Also within the same trouble."""
    backoff = Backoff(random.Random(1), clock)
    assert backoff.failed("c", 2.0) == 2.0
    assert backoff.failed("c", 9.0) == 9.0
    assert backoff.failed("c", 1.0) == 9.0


def test_success_is_forgotten_by_name(clock: _Clock) -> None:
    """One connection's success says nothing of another's trouble."""
    backoff = Backoff(random.Random(1), clock)
    _after(backoff, clock, 4)
    backoff.worked("other")
    assert backoff.failed("c") > 10
    backoff.worked("c")
    assert backoff.failed("c") <= 1.25


def test_the_first_failure_may_cost_no_wait_of_ours(clock: _Clock) -> None:
    """Where something else says how long; from the second on in a row it counts."""
    waits = _after(Backoff(random.Random(1), clock, free_tries=1), clock, 3)
    assert waits[0] == 0
    assert 0.75 <= waits[1] <= 1.25
    assert 1.5 <= waits[2] <= 2.5


def test_what_began_before_the_last_failure_belongs_to_it(clock: _Clock) -> None:
    """Fourteen batches on the wire at a failure that costs no wait are still one failure."""
    backoff = Backoff(random.Random(1), clock, free_tries=1)
    clock.now_s = 10.0
    assert backoff.failed("c", began_s_ago=0.5) == 0
    clock.now_s = 10.2
    assert [backoff.failed("c", began_s_ago=0.5) for _ in range(13)] == [0] * 13
    clock.now_s = 11.0
    assert backoff.failed("c", began_s_ago=0.5) > 0
