"""Beats for tests of schedules: started on a site, and what they did."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.processes import running_celery
from tests.sites import Site
from worker.ledger.timetable import ScheduledRun, Timetable
from worker.store.client import OUTAGE

ROLES = ("User.Invite.All", "User.Read.All", "Organization.Read.All", "Policy.Read.All", "Application.Read.All")
"""The application may read its own registration."""


class Beats:
    """Beats of a site, and what they and its schedules did."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.timetable = Timetable(site.desk.client, site.desk.keys)
        self.logs: list[Path] = []

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        """Start one more."""
        log = self.site.folder / f"beat{len(self.logs)}.log"
        log.touch()
        self.logs.append(log)
        argv = ("beat", "-l", "INFO")
        beat = self.site.stack.enter_context(running_celery(argv, log, self.site.env | env, self.site.folder))
        self.site.stack.callback(beat.kill)
        return beat

    def write(self, *schedules: str, top: str = "") -> None:
        """Put schedules into the configuration, in place of those that were there."""
        path = self.site.folder / "usher.toml"
        text = re.sub(r"\[schedules\..*", "", path.read_text(), flags=re.DOTALL)
        path.write_text(top + text.rstrip() + "\n" + "\n".join(schedules))

    async def runs(self, name: str) -> list[ScheduledRun]:
        """Return the ended runs of a schedule, the newest first; none while Redis is away."""
        with suppress(*OUTAGE):
            return [run for run in await self.timetable.runs(name) if run.ended_ms]
        return []

    async def until_run(self, name: str, more_than: int = 0, within_s: float = 40) -> ScheduledRun:
        """Wait for a run to end, beyond those that there were."""

        async def look() -> ScheduledRun | None:
            runs = await self.runs(name)
            return runs[0] if len(runs) > more_than else None

        try:
            run: ScheduledRun = await self.site.until(f"a run of {name}", look, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(log.read_text()[-3000:] for log in self.logs)) from None
        return run

    def fired(self, number: int) -> int:
        """How often a beat fired."""
        return self.logs[number].read_text().count("Sending due task")


def schedule_table(name: str, task: str, every: str = "1s", **more: Any) -> str:
    """Write a schedule as the configuration has it."""
    lines = [f"{key} = {value}" for key, value in more.items()]
    return "\n".join([f"[schedules.{name}]", f'task = "{task}"', f'every = "{every}"', *lines, ""])
