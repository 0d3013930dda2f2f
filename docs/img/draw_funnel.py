"""Draw docs/img/funnel.svg: the funnel of made-up guests by week, as `usher guests funnel --by week
--plot` draws one. The same guests each time. Run with the project's Python after `make setup`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.guests.funnel import By, Funnel
from tasks.guests.funnel_picture import draw_funnel
from worker.graph.guests import Guest, GuestState

HERE = Path(__file__).parent
TODAY = datetime(2026, 11, 29, tzinfo=UTC)
WEEKS = 40
STATES = (GuestState.ACCEPTED, GuestState.PENDING, GuestState.UNKNOWN)


def main() -> None:
    """Count 2,400 guests who came in forty weeks, the more the later, and draw them."""
    chance, funnel = random.Random(7), Funnel(By.WEEK)
    for number in range(2_400):
        age = WEEKS * 7 * chance.random() ** 1.6
        accepted = 0.25 + 0.55 * min(1.0, age / 45)
        (state,) = chance.choices(STATES, (accepted, 0.95 - accepted, 0.05))
        email, came = f"g{number}@partner.example", TODAY - timedelta(days=age)
        funnel.add(Guest(str(number), email, "Guest", state, None, came, enabled=True))
    path = HERE / "funnel.svg"
    draw_funnel(funnel, "contoso", TODAY.date().isoformat(), path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
