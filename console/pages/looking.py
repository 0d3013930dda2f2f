"""A list is looked at, or sent, in the background of the server; how far that has come lies with
the list in Redis, so that every instance can show it.

Both go the same way as the command: read, load, refuse, look, and then drop or start. A server that
is killed meanwhile leaves a job that never ran, which the ledger removes; the page then says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from config.connections import means_several
from config.errors import ConfigError
from console.pages.asking import Given, build_request, open_upload
from console.pages.found import describe_found, describe_found_through, tell_bad
from console.problems import Problem
from tasks.errors import JobExists, ListError, Refusal
from tasks.forecast.rows import ForeseenRow
from tasks.forecast.several import say_once
from tasks.jobs.submissions import is_accepted
from tasks.lists.options import ListOptions
from tasks.rows.row import BadRow, ValidRow
from tasks.submission.planning import foresee
from tasks.submission.preparing import prepare
from tasks.submission.refusing import RefusedRows
from tasks.submission.several import Several
from tasks.submission.splitting import Split
from tasks.submit import drop, new_job_id, start
from worker.errors import UsherError
from worker.ledger.lists.submissions import new_submission_id
from worker.ledger.lists.uploads import Upload, Uploads
from worker.ledger.programs.taking import Claim, claimed
from worker.operations.foreseen import Would
from worker.store.client import OUTAGE, describe

if TYPE_CHECKING:
    from console.access.viewer import Viewer
    from console.parts import Parts
    from tasks.submission.request import Request

log = logging.getLogger(__name__)

_TOLD_EVERY_S: Final = 0.5
GONE_S: Final = 20.0
"""Without a word for so long, whoever looked is gone."""
_SHOWN_ROWS: Final = 200
_BY_ANOTHER: Final = "This list is being sent by another server: wait a moment, then look under Jobs."
_running: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected


class Stage(StrEnum):
    """How far a look, or a sending, is."""

    READING = "reading"
    LOOKING = "looking"
    LOOKED = "looked"
    REFUSED = "refused"
    SENT = "sent"


@dataclass(slots=True)
class Look:
    """What is known of a list. `job`: the one, or the submission, that it is sent as, chosen before
    the first row is read: sent twice, it is one.
    """

    stage: Stage
    sends: bool
    given: Given
    reading: Mapping[str, Any]
    job: str = ""
    seen: int = 0
    rows: int = 0
    heard_ms: int = 0
    why: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, looked: Mapping[str, Any]) -> Look | None:
        """Read what was written down; None where there is nothing."""
        if not looked:
            return None
        return cls(**{**looked, "stage": Stage(looked["stage"]), "given": Given(**looked["given"])})

    @property
    def is_at_it(self) -> bool:
        """Whether somebody is at it."""
        return self.stage in (Stage.READING, Stage.LOOKING) and time.time() - self.heard_ms / 1000 < GONE_S

    @property
    def is_gone(self) -> bool:
        """Whether somebody was, and has gone without an end."""
        return self.stage in (Stage.READING, Stage.LOOKING) and not self.is_at_it


async def begin(
    parts: Parts, viewer: Viewer, upload: Upload, given: Given, options: ListOptions, *, sends: bool
) -> Look:
    """Begin to look at a list, or to send it, in the background: once this returns, every instance
    shows that somebody is at it.
    """
    before = Look.read(upload.looked)
    fresh = new_submission_id() if means_several(given.connection) else new_job_id()
    job = before.job if before is not None and before.sends and before.job else fresh
    look = Look(Stage.READING, sends, given, options.to_dict(), job=job, heard_ms=_now_ms())
    looking = _Looking(parts, viewer, upload, look, options)
    await looking.tell()
    task = asyncio.create_task(looking.run())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return look


@dataclass(slots=True)
class _Looking:
    parts: Parts
    viewer: Viewer
    upload: Upload
    look: Look
    options: ListOptions
    _rows: list[list[Any]] = field(default_factory=list)

    async def run(self) -> None:
        """Do it, and write down how it ended, whatever that was."""
        beat = asyncio.create_task(self._keep_telling())
        try:
            async with self.parts.loads.turn():
                await self._work()
        except RefusedRows as refused:
            self._refuse(str(refused))
            self.look.found = {"bad_rows": tell_bad(refused.bad)}
        except Problem as problem:
            self._refuse(problem.detail)
        except (Refusal, ListError, ConfigError, UsherError) as error:
            self._refuse(str(error))
        except OUTAGE as error:
            self._refuse(f"Redis cannot be reached ({describe(error)}); nothing was sent.")
        except LookupError:
            self._refuse("The list is not kept any more (an hour at most); nothing was sent. Give it again.")
        except Exception as error:  # noqa: BLE001 - whoever waits for the page is told, and the log has the place
            # Its text may hold an address, its place does not
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a look at a list ended in %s\n%s", type(error).__name__, where)
            self._refuse("usher met an error that it does not know; nothing was sent. Its log has the place.")
        finally:
            beat.cancel()
            with suppress(*OUTAGE):
                await self.tell()

    def _refuse(self, why: str) -> None:
        self.look.stage, self.look.why = Stage.REFUSED, why

    async def _work(self) -> None:
        services, look = self.parts.services, self.look
        uploads = Uploads(services.client, services.keys, services.sealer)
        several = means_several(look.given.connection)
        chosen = services.settings().choose(look.given.connection) if several else [look.given.connection]
        file = await uploads.open(self.upload)
        with open_upload(file, self.upload.name, self.options.through(chosen)) as guests:
            request = build_request(self.viewer, look.given, guests)
            request.rows = self._counted(request.rows)
            for name in chosen:
                if refusal := self.viewer.refusal(name, request.operation):
                    raise Refusal(refusal)
            if look.sends:
                async with claimed(services.client, services.keys, self.upload.id) as claim:
                    if claim is None:
                        raise Refusal("This list is being sent just now: wait a moment, then look under Jobs.")
                    await (self._send_through(request, chosen, claim) if several else self._send(request, claim))
                look.stage = Stage.SENT
                await uploads.empty(self.upload)
            else:
                await (self._foresee_through(request, chosen) if several else self._foresee(request))
                look.stage = Stage.LOOKED

    async def _send(self, request: Request, claim: Claim) -> None:
        """Let it go, once: whatever was killed in between."""
        services, look = self.parts.services, self.look
        view = await services.jobs.view(look.job)
        if view is None or not view.is_accepted:
            if view is not None:  # left by a server that was killed; whoever cleans up may be at it just now
                look.job = new_job_id()
                await self.tell()
            await self.parts.follow(look.job)
            try:
                prepared = await prepare(services, request, look.job)
            except JobExists:
                raise Refusal(_BY_ANOTHER) from None
            if not await claim.holds():
                await drop(services.jobs, prepared.loaded)
                raise Refusal(_BY_ANOTHER)
            await start(services.jobs, prepared.loaded)

    async def _send_through(self, request: Request, chosen: Sequence[str], claim: Claim) -> None:
        """Let it go through several connections, once: all of its jobs, or none."""
        services, look = self.parts.services, self.look
        if await is_accepted(services, look.job):
            return

        async def admit() -> None:
            if not await claim.holds():
                raise Refusal(_BY_ANOTHER)

        with Split(chosen) as split:
            await asyncio.to_thread(split.add_all, request.rows)
            several = Several.named(services, request, split, look.job)
            if await several.find_left():  # whoever cleans up may be at it just now
                look.job = new_submission_id()
                await self.tell()
                several = Several.named(services, request, split, look.job)
            await several.submit(self.parts.follow, admit)

    async def _foresee_through(self, request: Request, chosen: Sequence[str]) -> None:
        services, look = self.parts.services, self.look
        with Split(chosen) as split:
            await asyncio.to_thread(split.add_all, request.rows)
            several = Several(services, request, split)
            await several.prepare(self.parts.follow, dry=True)
            try:
                several.refuse()
                rows = sum(part.loaded.rows for part in several.parts)
                look.stage, look.rows, look.seen = Stage.LOOKING, rows, 0
                found = await several.foresee(self._hear)
            finally:
                await several.drop()
            if not found:
                raise Refusal(f"No tenant could be asked. {' '.join(say_once(several.unasked))}")
            bad = several.loaded.bad
            look.found = describe_found_through(found, several.unasked, request, bad, self._rows, split.nobodys_count)

    async def _foresee(self, request: Request) -> None:
        services, look = self.parts.services, self.look
        job = new_job_id()
        await self.parts.follow(job)
        prepared = await prepare(services, request, job, dry=True)
        try:
            look.stage, look.rows, look.seen = Stage.LOOKING, prepared.loaded.rows, 0
            told, forecast = await foresee(services, request, prepared, partial(self._hear, ""))
            look.found = describe_found(told, forecast, request, prepared.loaded.bad, self._rows)
        finally:
            await drop(services.jobs, prepared.loaded)

    def _counted(self, rows: Iterable[ValidRow | BadRow]) -> Iterator[ValidRow | BadRow]:
        for row in rows:
            self.look.seen += 1
            yield row

    def _hear(self, connection: str, row: ForeseenRow) -> None:
        self.look.seen += 1
        if row.foreseen.would is not Would.DO and len(self._rows) < _SHOWN_ROWS:
            foreseen = row.foreseen
            self._rows.append([connection, row.number, row.row.get("email", ""), foreseen.would.value, foreseen.why])

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_TOLD_EVERY_S)
            with suppress(*OUTAGE):
                await self.tell()

    async def tell(self) -> None:
        """Write down how far it is."""
        services = self.parts.services
        uploads = Uploads(services.client, services.keys, services.sealer)
        await uploads.note(self.upload.id, self.look_told())

    def look_told(self) -> dict[str, Any]:
        """Return what is written down."""
        self.look.heard_ms = _now_ms()
        return asdict(self.look)


def _now_ms() -> int:
    return round(time.time() * 1000)
