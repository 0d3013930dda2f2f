"""The funnel counts guests by state, in all and by week, domain or job, and draws them."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.errors import OutputError
from tasks.guests.funnel import By, Funnel
from tasks.guests.funnel_picture import MOST_NAMES, check_picture, draw_funnel
from worker.graph.guests import Guest, GuestState

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def a_guest(
    n: int, state: GuestState, *, domain: str = "a.example", days: int | None = 0, enabled: bool = True
) -> Guest:
    """One guest, who came so many days after a Monday."""
    created = None if days is None else MONDAY + timedelta(days=days)
    return Guest(f"id{n}", f"n{n}@{domain}", f"N {n}", state, None, created, enabled)


def some() -> list[Guest]:
    """Guests of two domains and three weeks."""
    return [
        a_guest(1, GuestState.ACCEPTED),
        a_guest(2, GuestState.PENDING, days=6),
        a_guest(3, GuestState.ACCEPTED, days=7, domain="B.example"),
        a_guest(4, GuestState.UNKNOWN, days=-1, enabled=False),
        a_guest(5, GuestState.UNKNOWN, days=None),
        a_guest(6, GuestState.ACCEPTED, days=8, domain="b.example"),
        a_guest(7, GuestState.ACCEPTED, days=8, domain="b.example"),
        a_guest(8, GuestState.PENDING, days=8, domain="b.example"),
    ]


def counted(by: By) -> Funnel:
    """All of them."""
    funnel = Funnel(by)
    for n, guest in enumerate(some()):
        funnel.add(guest, "j1" if n < 3 else "")
    return funnel


def test_states_are_counted_and_no_value_is_unknown() -> None:
    """Never pending; the percentage is of those whose state is known."""
    [row] = counted(By.ALL).rows()
    assert row == {
        "guests": 8,
        "accepted": 4,
        "pending": 2,
        "unknown": 2,
        "disabled": 1,
        "accepted_percent": 66.7,
    }


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.WEEK, [("", 1), ("2026-11-16", 1), ("2026-11-23", 2), ("2026-11-30", 4)]),
        (By.DOMAIN, [("a.example", 4), ("b.example", 4)]),
        (By.JOB, [("", 5), ("j1", 3)]),
    ],
)
def test_each_division_adds_up_to_all(by: By, names: list[tuple[str, int]]) -> None:
    """Weeks begin on Monday and stand in order; domains without case, the largest first."""
    funnel = counted(by)
    rows = list(funnel.rows())
    assert [(row[by.value], row["guests"]) for row in rows] == names
    for state in ("guests", "accepted", "pending", "unknown", "disabled"):
        assert sum(row[state] for row in rows) == getattr(funnel.total, state)
    assert sum(row["guests"] for row in funnel.rows(most=1)) == 8
    few = [row[by.value] for row in funnel.rows(most=1)]
    assert few == ["others", "2026-11-30"] if by is By.WEEK else few[1] == "others"


def test_a_listing_that_begins_again_counts_nobody_twice() -> None:
    """What was counted goes."""
    funnel = counted(By.WEEK)
    funnel.begin()
    funnel.add(some()[0])
    assert [row["guests"] for row in funnel.rows()] == [1]
    assert funnel.total.guests == 1


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_picture_is_drawn_the_same_each_time(by: By, form: str, tmp_path: Path) -> None:
    """For its owner alone; with the numbers as text in it, and of nobody the address."""
    path, again = tmp_path / f"one.{form}", tmp_path / f"two.{form}"
    draw_funnel(counted(by), "contoso", "2026-11-29", path)
    draw_funnel(counted(by), "contoso", "2026-11-29", again)
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    if form == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        return
    text = path.read_text()
    assert re.search(r"Guests of contoso[a-z ]*, 2026-11-29", text)
    assert "8 guests: 4 accepted, 2 pending (66.7 % have accepted), 2 unknown" in text
    assert not re.search(r"n\d@", text)


@pytest.mark.parametrize("by", list(By))
def test_a_tenant_without_guests_and_one_with_many_names_are_drawn(by: By, tmp_path: Path) -> None:
    """Nobody is no error; beyond some names the others are one bar."""
    path = tmp_path / "funnel.svg"
    draw_funnel(Funnel(by), "contoso", "2026-11-29", path)
    assert "0 guests" in path.read_text()
    funnel = Funnel(by)
    for n in range(200):
        funnel.add(a_guest(n, GuestState.PENDING, domain=f"d{n}.example", days=-7 * n), f"job{n}")
    draw_funnel(funnel, "contoso", "2026-11-29", path)
    assert path.read_text().count("others") == (by in (By.DOMAIN, By.JOB))
    assert MOST_NAMES < 200


def test_a_picture_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    """Another form, or a folder that is not there."""
    with pytest.raises(OutputError, match=r"\.svg or \.png"):
        check_picture(tmp_path / "funnel.pdf")
    with pytest.raises(OutputError, match="cannot be written"):
        check_picture(tmp_path / "none" / "funnel.svg")


def test_without_the_extra_a_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers need no matplotlib."""
    monkeypatch.setattr("tasks.guests.funnel_picture.importlib.util.find_spec", lambda name: None)
    with pytest.raises(OutputError, match="extra 'plot'"):
        check_picture(tmp_path / "funnel.svg")


def test_nothing_is_loaded_before_a_picture_is_drawn() -> None:
    """Matplotlib costs most of a second."""
    code = "import sys, cli.guests.funnel, tasks.guests.funnel_picture; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
