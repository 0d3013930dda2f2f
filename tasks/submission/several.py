"""One list goes through several connections as one submission: a job each, prepared side by side.
Trouble with one connection is not trouble with the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tasks.forecast.dry_run import Forecast
from tasks.forecast.plan import Plan
from tasks.forecast.rows import ForeseenRow
from tasks.forecast.several import Plans, say_once
from tasks.rows.fields import CONNECTION
from tasks.side_by_side import do_all
from tasks.submission.ceiling import CeilingMet
from tasks.submission.planning import foresee, plan, plan_ahead
from tasks.submission.preparing import Prepared, prepare_part
from tasks.submission.refusing import RefusedRows, refuse_bad
from tasks.submission.splitting import Split
from tasks.submission.together import Together
from tasks.submit import Follows, Loaded, job_id_of, load_nobodys, new_job_id
from worker.channels import NOBODYS
from worker.errors import TokenUnavailable, UsherError
from worker.ledger.lists.submissions import SUBMISSION, new_submission_id
from worker.operations.foreseen import Foreseen, Would

if TYPE_CHECKING:
    from tasks.submission.request import Request
    from worker.ledger.job_view import JobView
    from worker.ledger.model import JobState
    from worker.services import Services

MOST: Final = 1_000_000
"""Rows of a submission, each as often as connections are asked for it; a list that names one for
each row may be longer, for nothing multiplies it.
"""


@dataclass(slots=True)
class Several:
    """A submission that is being prepared. Until `start` nothing of it can be sent."""

    services: Services
    request: Request
    split: Split
    id: str = field(default_factory=new_submission_id)
    job_of: Callable[[str], str] = lambda connection: new_job_id()
    """The id of a connection's job."""
    admit: Callable[[Loaded], None] | None = None
    """Raises where the rows of one ask for what they may not, as `prepare` has it."""
    parts: list[Prepared] = field(default_factory=list)
    unasked: list[tuple[str, str]] = field(default_factory=list)
    """Of a dry run: connections that could not be asked, and why."""
    nobodys: Loaded | None = None
    """The job of the bad rows that are no connection's, where there are any."""
    withheld: dict[str, CeilingMet] = field(default_factory=dict)
    """Connections through which more would be done than a ceiling allows: nothing is done there."""

    @classmethod
    def named(
        cls,
        services: Services,
        request: Request,
        split: Split,
        submission: str,
        admit: Callable[[Loaded], None] | None = None,
    ) -> Several:
        """Return the submission of an id that its sender has chosen: the ids of its jobs follow
        from it, so that whoever asks again finds what was left.
        """
        return cls(services, request, split, submission, partial(job_id_of, Follows.SUBMISSION, submission), admit)

    async def find_left(self) -> list[JobView]:
        """Return what a killed process has left of its jobs: nothing of it was accepted."""
        return await self.services.jobs.views([self.job_of(name) for name in (*self.split.asked, NOBODYS)])

    async def submit(
        self, follow: Callable[[str], Awaitable[None]], allow: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Prepare it and let it run at once. `allow` raises where what is loaded may not run.
        Raises what it, `prepare` and `refuse` raise, with nothing left behind.
        """
        await self.prepare(follow, dry=False)
        try:
            self.refuse()
            if allow is not None:
                await allow()
            await self.start()
        except BaseException:
            await self.drop()
            raise

    def refuse(self) -> None:
        """Raise `Refusal` where nothing of it is sent: for bad rows, or a ceiling that every
        connection has met.
        """
        if not self.parts:
            raise next(iter(self.withheld.values()))
        refuse_bad(self.request, self.loaded)

    async def prepare(self, follow: Callable[[str], Awaitable[None]], *, dry: bool) -> None:
        """Load a job for each connection that has rows. Raises what `prepare` raises, with nothing
        left behind.
        """
        if not self.split.rows:
            raise RefusedRows(f"{self.request.name} holds no rows; nothing was sent.")
        names = self.split.asked or self.split.connections[:1]  # without a good row nothing of it is let go
        if self.split.through_all > max(MOST, self.split.rows):
            raise RefusedRows(
                f"{self.request.name} holds {self.split.rows:,} rows, which through {len(names):,} connections are"
                f" {self.split.through_all:,}, and {MOST:,} is the most for one submission; nothing was sent. Send it"
                " through fewer connections at a time, or in parts."
            )
        if self.request.guests is not None:
            self.request.info["sha256"] = self.request.guests.sha256()

        against: dict[str, RefusedRows] = {}

        async def one(name: str) -> None:
            job = self.job_of(name)
            await follow(job)
            request = self._request_for(name)
            try:
                self.parts.append(await prepare_part(self.services, request, job, dry=dry, admit=self.admit))
            except CeilingMet as met:
                self.withheld[name] = met
            except RefusedRows as refused:
                against[name] = refused

        try:
            await do_all(names, one)
            if against:
                said = [(name, str(against[name])) for name in names if name in against]
                raise RefusedRows(" ".join(say_once(said)))
            if self.split.nobodys_count and self.parts:
                await self._load_nobodys(follow)
        except BaseException:
            await self.drop()
            raise
        self.parts.sort(key=lambda part: names.index(part.connection.name))

    async def _load_nobodys(self, follow: Callable[[str], Awaitable[None]]) -> None:
        job = self.job_of(NOBODYS)
        await follow(job)
        info = self._info
        self.nobodys = await load_nobodys(
            self.services.jobs, self.split.nobodys(), job=job, info=info, operation=self.request.operation
        )

    @property
    def loaded(self) -> Loaded:
        """The whole list in numbers: each row once, and what is sent through all connections."""
        every = [part.loaded for part in self.parts]
        return replace(
            every[0],
            rows=self.split.rows,
            bad=self.split.bad,
            bad_count=self.split.bad_count,
            to_send=sum(loaded.to_send for loaded in every),
            duplicates=sum(loaded.duplicates for loaded in every),
            blocked=sum(loaded.blocked for loaded in every),
        )

    def describe_withheld(self) -> dict[str, Any]:
        """Return what `--json` says of ceilings that were met; nothing where none was."""
        plans = [
            {"connection": name, "would": {self.request.operation: met.would}, "ceilings": [met.name]}
            for name, met in self.withheld.items()
        ]
        return {"plans": plans, "ceilings": sorted({met.name for met in self.withheld.values()})} if plans else {}

    async def plan(self, *, ahead: bool) -> Plans:
        """Tell the plans. `ahead`: without those who are there, as far as soon found out."""

        async def one(part: Prepared) -> Plan:
            tell = plan_ahead if ahead and not part.signed_in.waits else plan
            return await tell(self.services, self._request_for(part.connection.name), part)

        return Plans(await do_all(self.parts, one), self._waits, nobodys=self.split.nobodys_count)

    async def foresee(self, heard: Callable[[str, ForeseenRow], None]) -> list[tuple[Plan, Forecast]]:
        """Look at every row through every connection; one that cannot be asked is left out, and
        told in `unasked`. `heard` gets each row with its connection, and those that are nobody's.
        Raises redis-py's outages.
        """
        for number, row in enumerate(self.split.nobodys(), 1):
            shown = {"email": row.email, CONNECTION: row.connection}
            heard(NOBODYS, ForeseenRow(number, shown, Foreseen(Would.REFUSE, "invalid_row", f"Not sent: {row}.")))

        async def one(part: Prepared) -> tuple[Plan, Forecast] | None:
            name = part.connection.name
            try:
                if part.signed_in.waits:
                    raise TokenUnavailable(part.signed_in.waits)
                return await foresee(self.services, self._request_for(name), part, lambda row: heard(name, row))
            except UsherError as error:
                self.unasked.append((name, str(error)))
                return None

        return [found for found in await do_all(self.parts, one) if found is not None]

    @property
    def _waits(self) -> list[tuple[str, str]]:
        return [(part.connection.name, why) for part in self.parts if (why := part.signed_in.waits)]

    @property
    def jobs(self) -> dict[str, str]:
        """Its jobs with their connections."""
        return self._together.jobs

    async def start(self) -> dict[str, JobState]:
        """Let all jobs run in one moment: from now on the rows are accepted (`Together.start`)."""
        return await self._together.start()

    async def drop(self) -> bool:
        """Remove the jobs; nothing of them was sent. False: they run (`Together.drop`)."""
        return await self._together.drop()

    @property
    def _together(self) -> Together:
        loaded = [(part.connection.name, part.loaded) for part in self.parts]
        return Together(self.services, self.id, [*loaded, *([(NOBODYS, self.nobodys)] if self.nobodys else [])])

    @property
    def _info(self) -> dict[str, Any]:
        return {**self.request.info, SUBMISSION: self.id}

    def _request_for(self, connection: str) -> Request:
        return replace(
            self.request,
            connection=connection,
            rows=self.split.rows_of(connection),
            info=self._info,
            guests=None,
        )
