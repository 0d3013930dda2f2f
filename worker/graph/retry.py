"""A pure decision says when to send the same call again at once, and how long to wait before.

Only what was certainly refused before processing is repeated here; a request that may have been
carried out belongs to the ledger, which looks the guest up first. Anything longer than `within_s`
closes the connection's gate instead, so that no task sleeps in a seat. `Retry-After` always wins
over our own curve.
https://learn.microsoft.com/graph/throttling
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from worker.graph.batch import Fate

LONGEST_RETRY_AFTER_S = 86_400.0
"""A longer Retry-After is cut to a day: a proxy's slip must not close a gate for a year."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """A whole policy: what may be sent again, how often and for how long."""

    statuses: frozenset[int]  # of the whole call; repeated only with a Retry-After that fits
    fates: frozenset[Fate] = frozenset({Fate.NOT_SENT})
    tries: int = 3
    within_s: float = 3.0  # from the first try's start to the last one's
    base_s: float = 0.2  # first wait of our own curve; it triples each time


UNSENT_ONLY = RetryRule(frozenset())
"""For invitations: what met a 429 goes back to the ledger, where the quota is kept."""

REFUSED_ONLY = RetryRule(frozenset({429}))
"""For other writes: a 503 may come after the write, and where users can be read the ledger looks
first.
"""

WHERE_BLIND = RetryRule(frozenset({503}))
"""For invitations on a connection that may not read users: 503 with Retry-After is taken at its
word, nothing could be looked up.
"""

READS = RetryRule(frozenset({429, 500, 502, 503, 504}), frozenset({Fate.NOT_SENT, Fate.LOST}))
"""For calls that change nothing."""

_OWN_CURVE_STATUSES = frozenset({500, 502, 504})
"""Never sent with a Retry-After; only `READS` repeats them."""


def decide_retry(
    rule: RetryRule,
    *,
    fate: Fate,
    status: int,
    retry_after_s: float | None,
    attempt: int,
    elapsed_s: float,
    chance: float = 0.5,
) -> float | None:
    """Return how long to wait before the same call again, or None to let it be.

    `attempt` counts from 1, `elapsed_s` from the start of the first, `chance` in [0, 1) spreads our
    own waits by a quarter.
    """
    if attempt >= rule.tries:
        return None
    own_s = rule.base_s * 3 ** (attempt - 1) * (0.75 + 0.5 * chance)
    if fate is Fate.ANSWERED:
        if status not in rule.statuses:
            return None
        if retry_after_s is None and status not in _OWN_CURVE_STATUSES:
            return (
                None  # told to slow down, not for how long: the gate's own backoff knows better than three quick tries
            )
        # A hair more than asked for: the same instant on the other side's clock is still "too
        # early".
        wait_s = own_s if retry_after_s is None else retry_after_s + 0.1 * chance
    elif fate in rule.fates:
        wait_s = own_s
    else:
        return None
    return wait_s if elapsed_s + wait_s <= rule.within_s else None


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return a Retry-After in seconds, from seconds or an HTTP date, or None where there is none to
    understand.

    `headers` has lower-case names. A date is measured against the answer's own `date`, never
    against our clock.
    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until, now = parse_http_date(text), parse_http_date(headers.get("date", ""))
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


@lru_cache(maxsize=16)  # every answer of one second says the same
def parse_http_date(text: str) -> datetime | None:
    """Return an HTTP date as an aware datetime, or None."""
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else None
