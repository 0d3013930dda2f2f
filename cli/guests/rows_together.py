"""What rows ask for is done to the guests of several tenants by one command: a row that names a
connection is done there; one that says `all`, or each of a list that names none, in each tenant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from cli.guests.foreseeing import Change, foresee
from cli.guests.together import Looked, Wanted, do_together
from tasks.errors import Refusal
from tasks.submission.preparing import sign_in
from tasks.submission.refusing import SHOWN_BAD
from tasks.submit import load, load_nobodys, new_job_id
from tasks.telling.words import number
from worker.channels import NOBODYS
from worker.ledger.audit.account import find_person
from worker.ledger.lists.submissions import SUBMISSION

if TYPE_CHECKING:
    from cli.follow.run import Run
    from cli.ui.lines import Lines
    from tasks.submission.splitting import Split
    from tasks.submission.together import Together
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class RowsTogether:
    """The rows of several connections, what they are called, and beyond how many guests of one
    connection it is done to none there. `info_of`: what a connection's job says of itself beside.
    """

    services: Services
    split: Split
    name: str
    wanted: Wanted
    most: int | None = None
    info_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    async def do(self, run: Run) -> int:
        """Do it, or say what would be done; returns the exit status. Raises `Refusal`."""
        split, nobodys = self.split, self.split.nobodys_count
        if not split.rows:
            raise Refusal(f"{self.name} holds no rows; nothing was done.")
        for row in islice(split.nobodys(), SHOWN_BAD):
            run.terminal.warn(f"{row}.")
        if nobodys > SHOWN_BAD:
            run.terminal.warn(f"{number(nobodys - SHOWN_BAD)} more rows are no connection's.")
        if not split.asked:
            raise Refusal(f"No row of {self.name} is for a connection that was chosen; nothing was done.")
        return await do_together(run, self.services, split.asked, self.wanted, self._look, self._load_nobodys, nobodys)

    async def _load_nobodys(self, together: Together) -> None:
        """Keep with the submission the bad rows that are no connection's."""
        job = new_job_id()
        await self.services.jobs.follow(job, os.getpid())
        rows, operation, info = self.split.nobodys(), self.wanted.operation, self._info(together)
        loaded = await load_nobodys(self.services.jobs, rows, job=job, info=info, operation=operation)
        together.add(NOBODYS, loaded)

    def _info(self, together: Together) -> dict[str, Any]:
        return {**find_person().to_info(), "list": self.name, SUBMISSION: together.id}

    async def _look(self, name: str, together: Together, lines: Lines) -> Looked:
        """Load the rows of one connection, and look what would become of them. Where nobody can
        sign in now they wait for that, unless they are more than the ceiling allows.
        """
        services, operation = self.services, self.wanted.operation
        connection = services.connection(name)
        waits = ""
        if self.wanted.dry:
            await services.tokens.get(connection, fresh=True)
        else:
            waits = (await sign_in(services, connection, fresh=True, waits=True)).waits
        if not waits:
            connection = await services.resolved(name)
        job = new_job_id()
        await services.jobs.follow(job, os.getpid())
        info = {**self._info(together), **self.info_of.get(name, {})}
        rows = self.split.rows_of(name)
        loaded = await load(services.jobs, connection, rows, job=job, info=info, operation=operation)
        together.add(name, loaded)
        change = Change(operation, name, self.most)
        if waits:
            change.take_unseen(loaded)
            said = waits
        else:
            said = await foresee(services, connection, change, loaded, lines.put)
        beyond = change.meets_ceiling()
        if self.wanted.dry or change.ceilings:
            await together.leave_out(name)
        return Looked(change.would, change.plan, change.undone, change.ceilings, [*filter(None, (said, beyond))])
