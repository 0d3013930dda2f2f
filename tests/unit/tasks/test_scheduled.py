"""What a schedule may name is there to be run."""

from __future__ import annotations

from config.schedules import TASKS
from tasks.scheduled.firing import KINDS


def test_each_task_of_a_schedule_is_a_module() -> None:
    """A task's name is the name of the module that does it."""
    assert {name: run.__module__ for name, run in KINDS.items()} == {name: f"tasks.scheduled.{name}" for name in TASKS}
