"""What a schedule may name is there to be run."""

from __future__ import annotations

import pytest

from config.schedules import TASKS
from tasks.errors import InputError
from tasks.rows.row import BadRow, ValidRow
from tasks.scheduled.firing import KINDS
from tasks.scheduled.invite_file import OwnRows

LIST: list[ValidRow | BadRow] = [
    ValidRow(1, 1, {"email": "a@example.com", "connection": "adatum"}),
    ValidRow(2, 2, {"email": "b@example.com"}),
    ValidRow(3, 3, {"email": "c@example.com", "connection": "far"}),
    BadRow(4, 4, "email", "is none", connection="bellows"),
]
"""Far is none of the schedule's connections."""


def test_each_task_of_a_schedule_is_a_module() -> None:
    """A task's name is the name of the module that does it."""
    assert {name: run.__module__ for name, run in KINDS.items()} == {name: f"tasks.scheduled.{name}" for name in TASKS}


def test_a_row_of_a_list_for_several_goes_where_it_says() -> None:
    """One that names none goes through each; a bad one is told by whom it names. One that names a
    connection which is not the schedule's is in nobody's job, and counted by the first.
    """
    own = {name: OwnRows(name, ["adatum", "bellows", "cronus"], LIST) for name in ("adatum", "bellows", "cronus")}
    numbers = {name: [row.number for row in rows] for name, rows in own.items()}
    assert numbers == {"adatum": [1, 2], "bellows": [2, 4], "cronus": [2]}
    assert [rows.nobodys for rows in own.values()] == [1, 0, 0]
    own = {name: OwnRows(name, ["adatum", "bellows"], LIST[:3], lambda: True) for name in ("adatum", "bellows")}
    numbers = {name: [row.number for row in rows] for name, rows in own.items()}
    assert numbers == {"adatum": [1], "bellows": []}, "a row that names none while others do is nobody's"
    assert [rows.nobodys for rows in own.values()] == [2, 0]
    assert [row.number for row in OwnRows("adatum", ["adatum"], [BadRow(9, 9, "email", "is none")])] == [9]


def test_a_strict_schedule_over_several_sends_nothing_of_a_list_with_a_bad_row() -> None:
    """Through none of them, whosever the row is."""
    for name in ("adatum", "bellows", "cronus"):
        with pytest.raises(InputError, match="2 rows of people.csv cannot be sent, and the schedule is strict"):
            list(OwnRows(name, ["adatum", "bellows", "cronus"], LIST).strictly("people.csv"))
    assert len(list(OwnRows("cronus", ["cronus"], LIST[1:2]).strictly("people.csv"))) == 1
