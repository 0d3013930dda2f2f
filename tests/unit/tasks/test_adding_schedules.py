"""A schedule is looked at before it is added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.reader import parse_schedule
from config.schedules import TASKS, Schedule
from tasks.errors import Refusal
from tasks.scheduled.adding import refuse_too_often, tell_lacking
from tests.configs import build_connection


def schedule(task: str, **more: Any) -> Schedule:
    """Return a schedule of contoso."""
    table = {"task": task, "connection": "contoso", "every": "1d", **more}
    return parse_schedule("nightly", table, ["contoso"])


@pytest.mark.parametrize("task", [name for name, kind in TASKS.items() if kind.reads_tenant])
def test_a_tenant_is_not_read_without_a_pause(task: str) -> None:
    """Once a minute at most, as cron has it; a list alone may be read more often."""
    args = {"args": {"path": "/a.csv"}} if TASKS[task].one_of else {}
    with pytest.raises(Refusal, match="--every must be at least 1m"):
        refuse_too_often(schedule(task, every="59s", **args))
    refuse_too_often(schedule(task, every="60s", **args))
    refuse_too_often(schedule("invite_file", every="1s", args={"path": "/a.csv"}))


def test_what_a_schedule_lacks_is_told(tmp_path: Path) -> None:
    """A policy, a time before the end, a way for mails, a list; nothing where all is there."""
    bare, policy = build_connection(), build_connection(clean={"disable_expired": True})
    [told] = tell_lacking(schedule("clean_guests"), [bare])
    assert told.startswith("Write what is to be done to guests under [connections.c.clean]")
    assert tell_lacking(schedule("clean_guests"), [policy]) == []
    assert "remind_sponsor_before" in tell_lacking(schedule("remind_sponsors"), [policy])[0]
    assert len(tell_lacking(schedule("clean_guests"), [bare] * 40)) == 11
    (tmp_path / "a.csv").touch()
    for name, count in (("a.csv", 0), ("b.csv", 1)):
        listed = schedule("invite_file", args={"path": str(tmp_path / name)})
        assert len(tell_lacking(listed, [bare])) == count
    assert tell_lacking(schedule("invite_file", args={"url": "https://lists.example/a.csv"}), [bare]) == []
    assert tell_lacking(schedule("retry_failed"), [bare]) == []
