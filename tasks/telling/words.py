"""Numbers, times and states are put into the words that people read. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from worker.ledger.gates import Gate, HoldReason

OUTCOME_WORDS = {
    "invited": "invited",
    "already_guest": "already guests",
    "done": "done",
    "already": "so already",
    "skipped": "skipped",
    "failed": "failed",
    "in_doubt": "in doubt",
    "pending": "left",
    "cancelled": "cancelled",
}
"""What each count is called."""


def number(count: float) -> str:
    """1234 → "1,234"."""
    return f"{count:,.0f}"


def many(count: int, one: str, more: str = "") -> str:
    """(1, "row") → "1 row"; (2, "row") → "2 rows"."""
    return f"{number(count)} {one if count == 1 else more or one + 's'}"


def line_of(number_: str, deed: str, address: str, why: str = "") -> str:
    """Return the line of a plan that tells of one guest, so that usual ones stand in columns."""
    return f"{number_:<4}  {deed:<7}  {address:<32}  {why}".rstrip()


def span(seconds: float) -> str:
    """A length of time in its two largest units: "less than a second", "42 s", "3 min 20 s", "2 h 5
    min", "3 days 4 h".
    """
    if seconds < 1:
        return "less than a second"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def moment(at: datetime | None) -> str:
    """An instant by this machine's clock, with its zone: "2026-11-23 14:05 CET", '' for none."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}" if at else ""


def outcomes(counts: dict[str, int]) -> str:
    """The counts that are not zero: "398 invited, 4 failed"."""
    return ", ".join(f"{number(counts[name])} {word}" for name, word in OUTCOME_WORDS.items() if counts.get(name))


def gate_words(gate: Gate, now: datetime) -> str:
    """What a gate says that is not open, or that nobody gets through; '' for any other."""
    if gate.held:
        more = ""
        if gate.try_at and gate.kind is not HoldReason.DAILY_LIMIT:
            wait_s = (gate.try_at - now).total_seconds()
            more = f" Next try in {span(wait_s)}." if wait_s >= 1 else " Trying again now."
        return f"{gate.why}{more}"
    if gate.closed_until and gate.closed_until > now:
        wait_s = (gate.closed_until - now).total_seconds()
        return f"{gate.closed_why} Next try in {span(wait_s)}." if wait_s >= 1 else gate.closed_why
    return gate.trouble


def utc_now() -> datetime:
    """The present, for `gate_words`."""
    return datetime.now(UTC)
