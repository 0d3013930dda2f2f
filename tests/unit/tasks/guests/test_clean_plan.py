"""A plan of a clean-up counts what is due, and holds back one kind at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from config.guest_rules import CleanSection
from tasks.guests.clean.loading import CLEAN, Part, split
from tasks.guests.clean.plan import CleanPlan
from tasks.guests.clean.telling import tell_due, tell_left, tell_line, tell_withheld
from tests.configs import build_connection
from worker.graph.guests import Guest, GuestState
from worker.operations.clean.policy import Because, Deed, Finding, Stays

SEEN = datetime(2026, 1, 2, tzinfo=UTC)


def guest(number: int, **more: object) -> Guest:
    """A guest."""
    told = {"signed_in_at": SEEN, **more}
    email = str(told.pop("email", f"g{number}@partner.example"))
    return Guest(f"id-{number}", email, "", GuestState.ACCEPTED, None, None, enabled=True, upn="u@t.example", **told)  # type: ignore[arg-type]


@pytest.fixture
def plan() -> Iterator[CleanPlan]:
    """Two to remind, three to disable, one to delete, one who stays."""
    with CleanPlan() as plan:
        for number, (deed, because) in enumerate(
            [
                *[(Deed.REMIND, Because.PENDING)] * 2,
                *[(Deed.DISABLE, Because.INACTIVE)] * 2,
                (Deed.DISABLE, Because.EXPIRED),
                (Deed.DELETE, Because.DISABLED),
            ]
        ):
            plan.put(guest(number), Finding(deed, because, "because"))
        plan.put(guest(9), Finding(None, Stays.SPARED, "spared"))
        yield plan


def section(reminded: int = 2, disabled: int = 3, deleted: int = 1) -> CleanSection:
    """Ceilings."""
    return CleanSection(most_reminded=reminded, most_disabled=disabled, most_deleted=deleted)


def test_at_the_ceiling_all_is_done(plan: CleanPlan) -> None:
    """It is no more than allowed."""
    plan.withhold(section())
    assert plan.withheld == {}
    assert plan.will == {Deed.REMIND: 2, Deed.DISABLE: 3, Deed.DELETE: 1}
    assert [row.row["user_id"] for row in plan.rows(*Deed)] == [f"id-{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("ceilings", "deed", "name"),
    [
        (section(reminded=1), Deed.REMIND, "most_reminded"),
        (section(disabled=2), Deed.DISABLE, "most_disabled"),
        (section(deleted=0), Deed.DELETE, "most_deleted"),
    ],
)
def test_beyond_a_ceiling_nothing_of_the_kind_is_done(
    plan: CleanPlan, ceilings: CleanSection, deed: Deed, name: str
) -> None:
    """The other kinds are; what would be done is told all the same."""
    plan.withhold(ceilings)
    assert list(plan.withheld) == [name]
    assert set(plan.will) == set(Deed) - {deed}
    assert {row.row["then"] for row in plan.rows(*Deed)} == set(plan.will)
    assert plan.would == {"remind": 2, "disable": 3, "delete": 1}
    assert len(list(plan.lines())) == 6
    (sentence,) = tell_withheld(plan, "contoso")
    assert f"connections.contoso.clean.{name}" in sentence


def test_a_reason_that_turned_out_to_be_none_is_dropped(plan: CleanPlan) -> None:
    """Before ceilings count."""
    plan.dropped.add(Because.INACTIVE)
    plan.withhold(section(disabled=1))
    assert plan.withheld == {}
    assert plan.will[Deed.DISABLE] == 1
    assert plan.describe()["because"] == {"pending": 2, "expired": 1, "disabled": 1}
    assert [row["because"] for _, row in plan.lines()].count("inactive") == 0


def test_a_listing_that_begins_again_lets_go_of_what_it_had(plan: CleanPlan) -> None:
    """Nothing is counted twice."""
    plan.begin()
    assert (plan.guests, plan.would, list(plan.lines())) == (0, {"remind": 0, "disable": 0, "delete": 0}, [])


def test_what_a_row_keeps_of_a_guest() -> None:
    """Who, what and why; the date only where it speaks against it. One without an address too."""
    with CleanPlan() as plan:
        plan.put(guest(0), Finding(Deed.DISABLE, Because.INACTIVE, "not seen"))
        plan.put(guest(1, email="", invited=False), Finding(Deed.DISABLE, Because.EXPIRED, "ended"))
        first, second = (row.row for row in plan.rows(*Deed))
    assert first == {
        "email": "g0@partner.example",
        "user_id": "id-0",
        "then": "disable",
        "because": "inactive",
        "why": "not seen",
        "seen_at": SEEN.isoformat(),
    }
    assert second == {
        "email": "u@t.example",
        "user_id": "id-1",
        "then": "disable",
        "because": "expired",
        "why": "ended",
        "internal": True,
    }


def test_which_jobs_a_plan_becomes(plan: CleanPlan) -> None:
    """One; where usher mails guests itself, reminders are another, and only where there are any."""
    plain, own = build_connection(), build_connection(deliver="smtp")
    assert split(plain, plan) == [Part(CLEAN, (Deed.REMIND, Deed.DISABLE, Deed.DELETE))]
    assert split(own, plan) == [Part("remind", (Deed.REMIND,)), Part(CLEAN, (Deed.DISABLE, Deed.DELETE))]
    plan.withhold(section(disabled=0, deleted=0))
    assert split(own, plan) == [Part("remind", (Deed.REMIND,))]
    plan.withhold(section(reminded=0, disabled=0, deleted=0))
    assert split(own, plan) == split(plain, plan) == []


def test_a_plan_in_words(plan: CleanPlan) -> None:
    """How many, why the others stay, and a line a guest."""
    assert tell_due(plan) == "Of 7 guests: 2 to remind, 3 to disable, 1 to delete"
    assert tell_left(plan) == "Left alone: 1 spared."
    number, row = next(plan.lines())
    assert tell_line(number, row) == "1     remind   g0@partner.example                because"
    plan.begin()
    assert (tell_due(plan), tell_left(plan)) == ("Of 0 guests: nobody to whom anything is due", "")
