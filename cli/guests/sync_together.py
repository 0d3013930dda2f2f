"""`usher guests sync` of several tenants: one list is the truth about all of them, and each row
says by its `connection` whose guest it is.

Nobody is taken away on account of a row that does not, in any tenant; and in a tenant that no row
names nothing is done.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.follow.run import Run
from cli.guests.together import Looked, Wanted, do_together
from cli.ui.place import open_place, refuse_to_leave_running
from cli.ui.terminal import build_facts
from config.reader import load_settings
from tasks.errors import InputError
from tasks.forecast.targets import look_at_stages
from tasks.guests.sync.loading import load_plan, refuse_unfinished
from tasks.guests.sync.plan import SyncPlan, make_plan, read_list
from tasks.guests.sync.store import SyncStore
from tasks.guests.sync.told import count_deeds, tell_change, tell_kept, tell_needs
from tasks.guests.sync.whose import find_owner, tell_unnamed
from tasks.rows.row import BadRow
from tasks.safe_text import clean
from tasks.submission.refusing import SHOWN_BAD
from tasks.submission.splitting import Split
from tasks.submit import load_nobodys, new_job_id
from tasks.telling.words import many, number, utc_now
from worker.channels import NOBODYS
from worker.ledger.audit.account import find_person
from worker.ledger.lists.submissions import SUBMISSION
from worker.operations.sync.sync import Sync

if TYPE_CHECKING:
    from cli.ui.interrupts import Interrupts
    from cli.ui.lines import Lines
    from cli.ui.session import Session
    from cli.ui.terminal import Terminal
    from tasks.lists.guest_list import GuestList
    from tasks.rows.row import ValidRow
    from tasks.submission.together import Together
    from worker.services import Services

_KEPT = 1_000  # rows that are nobody's


@dataclass(slots=True)
class SyncTogether:
    """A list of several tenants, and what is wanted of it. `dry`: nothing is to be done. `nobodys`:
    rows of which nobody can tell whose guests they name, the first of them; the others are counted.
    """

    guests: GuestList
    name: str
    source: str
    adopt: bool
    dry: bool
    detach: bool
    wait_s: float | None
    nobodys: list[BadRow] = field(default_factory=list)
    nobodys_count: int = 0
    elsewhere: int = 0

    def run(self, session: Session, terminal: Terminal, interrupts: Interrupts, chosen: str, closing: ExitStack) -> int:
        """Read the list, then compare it with each tenant; returns the exit status. Raises
        `InputError` for a list that says of no row whose it is.
        """
        settings = load_settings()
        names = settings.choose(chosen)
        split = closing.enter_context(Split(names))
        self._read(terminal, split, {*settings.connections, *names})
        if self.detach and not self.dry:
            refuse_to_leave_running()
        run = Run(session, terminal, interrupts, closing.enter_context(open_place()))

        async def do() -> int:
            async with run.place.services() as services:
                return await self._do(run, services, split)

        return asyncio.run(do())

    def _read(self, terminal: Terminal, split: Split, configured: set[str]) -> None:
        """Put each row to whose guest it names."""
        chosen = set(split.connections)
        for count, row in enumerate(self.guests.rows(), 1):
            row, whose = find_owner(row, configured)
            if whose in chosen:
                split.put(row, whose)
            elif whose:
                self.elsewhere += 1
            else:
                assert isinstance(row, BadRow)
                self.nobodys_count += 1
                if len(self.nobodys) < _KEPT:
                    self.nobodys.append(row)
            if count % 256 == 0:
                terminal.count(f"Reading {self.guests.name}: {number(count)} rows")
        terminal.status("")
        if not split.named and not self.elsewhere:
            raise InputError(tell_unnamed(self.guests.name))
        terminal.say(build_facts(self.guests.describe(with_sample=False)))
        for warning in self.guests.warnings:
            terminal.warn(warning)
        for row in [*self.nobodys, *split.bad][:SHOWN_BAD]:
            terminal.warn(f"{row}.")
        if self.elsewhere:
            terminal.warn(f"Of connections that were not chosen (-c), and left out: {many(self.elsewhere, 'row')}.")

    async def _do(self, run: Run, services: Services, split: Split) -> int:
        named = set(split.named)

        async def look(name: str, together: Together, lines: Lines) -> Looked:
            if name not in named:
                raise InputError(f"No row of {self.guests.name} names this connection, so nothing is done there.")
            return await self._look(services, name, together, lines, split.rows_of(name))

        async def load_unowned(together: Together) -> None:
            job, info = new_job_id(), self._info(together)
            await services.jobs.follow(job, os.getpid())
            loaded = await load_nobodys(services.jobs, self.nobodys, job=job, info=info, operation=Sync.name)
            together.add(NOBODYS, loaded)

        wanted = Wanted(Sync.name, self.dry, not self.dry, self.detach, self.wait_s, shows=True)
        return await do_together(run, services, split.connections, wanted, look, load_unowned, self.nobodys_count)

    async def _look(
        self,
        services: Services,
        name: str,
        together: Together,
        lines: Lines,
        rows: Iterator[ValidRow | BadRow],
    ) -> Looked:
        """Compare one tenant with its rows, and load what differs, unless nothing is to be done."""
        connection = await services.resolved(name)
        token = await services.tokens.get(connection, fresh=True)
        if not self.dry:
            await refuse_unfinished(services, connection, self.source, utc_now())
        with SyncStore() as store:
            read_list(store, self.guests, rows=rows)
            bad = store.bad_count
            store.miss(self.nobodys_count)
            plan = await make_plan(services, connection, store, self.guests, self.source, adopt=self.adopt)
            for change in plan.changes():
                lines.put(clean(tell_change(change)))
            deeds, said = count_deeds(plan), [*tell_needs(plan), *tell_kept(plan)]
            would, status = sum(deeds.values()), 0
            if would and not self.dry:
                said += await self._load(services, plan, together, token.roles)
            elif bad and not self.dry:
                status = 1
            undone = {"rows": would + bad, "failed": bad, "cancelled": would}
            return Looked(deeds, plan.describe(), undone, plan.ceilings, said, status=status)

    async def _load(
        self, services: Services, plan: SyncPlan, together: Together, roles: frozenset[str] | None
    ) -> list[str]:
        """Load a plan into its job; returns which of its stages wait for a permission."""
        job, name = new_job_id(), plan.connection.name
        await services.jobs.follow(job, os.getpid())
        loaded = await load_plan(services, plan, job, self._info(together))
        together.add(name, loaded)
        stages = await look_at_stages(services, plan.connection, job, loaded.asked, roles)
        return [stage.missing for stage in stages if stage.missing]

    def _info(self, together: Together) -> dict[str, Any]:
        told = {"list": self.name, "sha256": self.guests.sha256(), SUBMISSION: together.id}
        return {**find_person().to_info(), **told}
