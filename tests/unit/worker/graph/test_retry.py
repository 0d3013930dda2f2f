from __future__ import annotations

import pytest

from worker.graph.batch import Fate
from worker.graph.retry import READS, REFUSED_ONLY, WHERE_BLIND, RetryRule, decide_retry, parse_retry_after

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


def wait(
    rule: RetryRule, fate: Fate, status: int = 0, after: float | None = None, attempt: int = 1, elapsed: float = 0.0
) -> float | None:
    """Decide with the middle of the jitter."""
    return decide_retry(rule, fate=fate, status=status, retry_after_s=after, attempt=attempt, elapsed_s=elapsed)


@pytest.mark.parametrize("rule", [REFUSED_ONLY, WHERE_BLIND, READS])
def test_what_never_left_is_sent_again_three_times_in_all(rule: RetryRule) -> None:
    """Two more tries, the second wait longer than the first."""
    first, second = wait(rule, Fate.NOT_SENT), wait(rule, Fate.NOT_SENT, attempt=2)
    assert first is not None
    assert second is not None
    assert 0 < first < second
    assert wait(rule, Fate.NOT_SENT, attempt=3) is None


@pytest.mark.parametrize("rule", [REFUSED_ONLY, WHERE_BLIND])
def test_lost_write_is_never_sent_again(rule: RetryRule) -> None:
    """It may have been carried out."""
    assert wait(rule, Fate.LOST) is None
    assert wait(rule, Fate.ANSWERED, 500) is None
    assert wait(rule, Fate.ANSWERED, 504, after=1.0) is None


def test_lost_read_is_asked_again() -> None:
    """A read changes nothing."""
    assert wait(READS, Fate.LOST) is not None
    assert wait(READS, Fate.ANSWERED, 502) is not None


def test_retry_after_wins_when_it_fits() -> None:
    """A short one is waited out to the full, a long one closes the gate instead."""
    waited = wait(REFUSED_ONLY, Fate.ANSWERED, 429, after=1.0)
    assert waited is not None
    assert waited >= 1.0
    assert wait(REFUSED_ONLY, Fate.ANSWERED, 429, after=4.0) is None
    assert wait(REFUSED_ONLY, Fate.ANSWERED, 429, after=1.0, elapsed=2.5) is None
    assert wait(REFUSED_ONLY, Fate.ANSWERED, 429) is None


def test_503_is_repeated_only_where_nothing_can_be_looked_up() -> None:
    """Where users can be read, the ledger looks first."""
    assert wait(REFUSED_ONLY, Fate.ANSWERED, 503, after=1.0) is None
    assert wait(WHERE_BLIND, Fate.ANSWERED, 503, after=1.0) is not None
    assert wait(WHERE_BLIND, Fate.ANSWERED, 503) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "99999999"}, 86_400.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:30 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_retry_after_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, a date on the server's clock, or nothing that can be understood."""
    assert parse_retry_after(headers) == seconds
