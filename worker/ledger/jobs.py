"""People and producers make jobs, watch, pause, cancel and delete them. Rows: `job_rows.py`."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, RedisError

from worker.errors import LedgerError, LedgerTooNew
from worker.ledger.approval import SUBMITTER, WANTED, read_approved, submitter_of
from worker.ledger.audit.trail import Trail
from worker.ledger.erasing import note_erased
from worker.ledger.gates import Gates
from worker.ledger.job_list import JobList
from worker.ledger.job_rows import JobRows
from worker.ledger.job_view import GOING, JobView
from worker.ledger.keys import SCHEMA, Keys
from worker.ledger.lists.submissions import SUBMISSION, Submissions
from worker.ledger.loading import Loading, LoadingStage
from worker.ledger.model import JobState, Lane, Options
from worker.ledger.scripts import Scripts
from worker.ledger.stages import stage_id, stages_of
from worker.store.keyring import FindSealer, no_sealer

log = logging.getLogger(__name__)

FOLLOWED_S = 20.0
"""How long a command counts as following its job since it last said so; it says so every few
seconds.
"""
ABANDONED_S = 3600.0
"""A job that loads, and whose maker has not been heard of for this long, is removed: nothing of it
was accepted.
"""
_HEARD_EVERY_S = 60.0
_SURE_S = 150.0  # so long, by our own clock, must the maker be silent besides: Redis's clock may have been put forward
_LOADING_CHUNKS = 50  # written in one round trip while loading
_REMOVED_BY = ("state", "chunks", "connection", "rows", "stages")  # what has to be known of a job to remove it
_AT_ONCE = 500  # keys removed, or given their expiry, in one round trip


class Jobs(JobList):
    """Jobs in the ledger, over one Redis client. `keep_s`: how long an ended job is kept."""

    def __init__(
        self, client: Redis, keys: Keys, *, keep_s: float, sealer: FindSealer = no_sealer, trail: Trail | None = None
    ) -> None:
        self.trail = trail or Trail(client, keys, keep_s=0)
        super().__init__(client, keys, Gates(client, keys, self.trail))
        self.keep_s = keep_s
        self.rows = JobRows(client, keys, sealer)
        self.submissions = Submissions(client, keys)
        self._scripts = Scripts(client)
        self._silent: dict[str, tuple[float, float]] = {}  # job → last heard of (Redis's clock), known since (ours)

    # Making one

    async def create(
        self,
        job: str,
        connection: str,
        lane: Lane,
        *,
        options: Options | None = None,
        info: dict[str, Any] | None = None,
        pilot: int = 0,
        needs_approval: str = "",
        stages: Sequence[LoadingStage] = (),
    ) -> Loading | None:
        """Begin a job; None when one of that id is there already (the same message twice is the
        same job).

        `needs_approval`: the sentence with which it is held once it is loaded, until somebody
        approves it. `stages`: what its rows may ask for, in order.

        Raises `LedgerTooNew` when the ledger was written by a newer usher.
        """
        plain = asdict(Options())
        given = {name: value for name, value in asdict(options or Options()).items() if value != plain[name]}
        reply = await self._scripts["create_job"](
            keys=[self.keys.jobs(), self.keys.job(job), self.keys.schema(), self.keys.loading(), self.keys.epoch()],
            args=[
                job,
                SCHEMA,
                secrets.token_hex(8),  # redis-py repeats a call whose answer was lost; this tells it from another's
                *("connection", connection, "lane", lane.value),
                *("options", orjson.dumps(given), "info", orjson.dumps(info or {})),
                *(("approval", WANTED, "why", needs_approval) if needs_approval else ()),
                *(("stages", " ".join(stage.operation for stage in stages)) if stages else ()),
            ],
        )
        if reply < 0:
            raise LedgerTooNew()
        return Loading(job, connection, lane, pilot, info=dict(info or {}), stages=[*stages]) if reply else None

    async def write(self, loading: Loading, *, all_of_it: bool = False) -> None:
        """Write the chunks that are full; the last one too when `all_of_it`. To be called now and
        then: it says that we are still here.
        """
        if all_of_it:
            loading.close_chunk()
        now_s = time.monotonic()
        if now_s - loading.heard_s > _HEARD_EVERY_S:
            loading.heard_s = now_s
            await self._scripts["loading"](keys=[self.keys.loading()], args=[loading.id])
        ready = loading.take_ready(1 if all_of_it else _LOADING_CHUNKS)
        while ready:
            async with self.client.pipeline(transaction=False) as pipe:
                for chunk in ready[:_LOADING_CHUNKS]:
                    pipe.hset(self.keys.chunk(loading.id, chunk.number), mapping=chunk.fields)
                    for operation, letters in chunk.guests.items():
                        stage = stage_id(loading.id, operation)
                        pipe.hset(self.keys.stage_guests(stage, chunk.number), "st", letters)
                pipe.hset(self.keys.job(loading.id), mapping={"rows": loading.rows, "chunks": loading.chunks})
                await pipe.execute()
            ready = ready[_LOADING_CHUNKS:]

    async def add_info(self, loading: Loading, **facts: Any) -> None:
        """Add to what a job that is not started yet says of itself."""
        loading.info |= facts
        await self.client.hset(self.keys.job(loading.id), "info", orjson.dumps(loading.info))

    async def start(self, loading: Loading) -> JobState:
        """Let a loaded job run: its rows are accepted now. All of its chunks have been written.

        Raises `LedgerError` when somebody removed it meanwhile.
        """
        return (await self.start_together([loading]))[loading.id]

    async def start_together(self, loadings: Sequence[Loading]) -> dict[str, JobState]:
        """Let loaded jobs run in one moment, or none of them where this process is killed. Returns
        how they stand then, without those that somebody removed; raises as `start` without any.
        """
        for loading in loadings:
            await self.write(loading, all_of_it=True)
            await self.gates.hold_at_first_use(loading.connection, self.trail.tenant_key_of(loading.connection))
        told = [loading.told(self.keys, self.trail.tenant_key_of(loading.connection)) for loading in loadings]
        replies = await self._scripts.run_together("start_job", told)
        states: dict[str, JobState] = {}
        for loading, reply in zip(loadings, replies, strict=True):
            if reply is None:
                await self.delete(loading.id)
                continue
            states[loading.id] = JobState(reply.decode())
            if loading.lane is not Lane.NOW:  # whom a producer asks for by itself, the trail names in their row
                await self._note_submission(loading)
        if not states:
            raise LedgerError(
                "Somebody removed the job while its list was being read, so nothing was sent: submit it again."
            )
        return states

    async def _note_submission(self, loading: Loading) -> None:
        told = {name: value for name, value in loading.info.items() if name not in SUBMITTER}
        by = {"by": who} if (who := submitter_of(loading.info)) else {}
        facts = {"job": loading.id, "connection": loading.connection, "rows": loading.rows, "to_send": loading.to_send}
        try:
            await self.trail.note("job.submitted", **by, **facts, **told)
        except RedisError as error:  # it runs by now, and whoever started it is to know that
            log.warning("the audit trail has no entry for the start of job %s: %s", loading.id, error)

    async def loader_silent_s(self, job: str) -> float | None:
        """Return how long ago whoever loads a job was last heard of; None where nobody does."""
        heard_ms: float | None = None
        with suppress(NoPermissionError):  # a user that may only read jobs, by an older list of users
            heard_ms = await self.client.zscore(self.keys.loading(), job)
        if heard_ms is None:
            return None
        seconds, _ = await self.client.time()
        return max(float(seconds) - heard_ms / 1000, 0.0)

    # Following it

    async def follow(self, job: str, pid: int) -> None:
        """Say that a command, by process id, follows this job; again within `FOLLOWED_S`."""
        await self.client.set(self.keys.follow(job), pid, px=round(FOLLOWED_S * 1000))

    async def watch(self, job: str, pid: int) -> None:
        """Say that a command looks on: it counts as following while no other does. To be said again
        like `follow`.
        """
        key, mark_ms = self.keys.follow(job), round(FOLLOWED_S * 1000)
        if not await self.client.set(key, pid, nx=True, px=mark_ms) and await self.follower(job) == pid:
            await self.client.pexpire(key, mark_ms)

    async def unfollow(self, job: str, pid: int) -> None:
        """The command is about to leave; whoever else follows goes on."""
        if await self.follower(job) == pid:
            await self.client.delete(self.keys.follow(job))

    async def follower(self, job: str) -> int | None:
        """Return the process id of the command that said last that it follows this job; it may have
        been killed since.
        """
        pid = await self.client.get(self.keys.follow(job))
        return int(pid) if pid else None

    # Moving it

    async def pause(self, job: str, why: str) -> JobState | None:
        """Pause after the batches in flight. Returns the state it is in then; None: no such job."""
        return await self._move(job, "paused", why, "job.paused")

    async def resume(self, job: str) -> JobState | None:
        """Let a paused job run on, past the pilot that paused it too."""
        return await self._move(job, "running", "", "job.resumed")

    async def cancel(self, job: str, why: str = "") -> JobState | None:
        """End a job: rows not yet sent are cancelled, rows on the wire end as what they are."""
        return await self._move(job, "cancelled", why, "job.cancelled")

    async def park(self, job: str, why: str) -> bool:
        """Hold a running job until somebody approves it, unless one has. Whether it may run."""
        return bool(await self._scripts["park_job"](keys=[self.keys.job(job)], args=[self.keys.prefix, job, why]))

    async def approve(
        self, view: JobView, approver: str, *, approved: Mapping[str, Any] | None = None, pause_why: str = ""
    ) -> bool:
        """Let a job run that waits for approval; with `pause_why` it is paused instead. False: it
        does not wait any more.

        `approved`: what the approver looked at, to be kept with the job and, its digest and counts,
        in the audit trail.
        """
        info = {**view.info, "approver": approver, "approved_at": datetime.now(UTC).isoformat(timespec="seconds")}
        info |= {"approved": dict(approved)} if approved else {}
        state = JobState.PAUSED if pause_why else JobState.RUNNING
        reply = await self._scripts["approve_job"](
            keys=[self.keys.job(view.id)],
            args=[self.keys.prefix, view.id, approver, orjson.dumps(info), state.value, pause_why],
        )
        if reply:
            told = {"connection": view.connection, "submitted_by": submitter_of(view.info), **read_approved(info)}
            await self.trail.note("job.approved", by=approver, job=view.id, **told)
        return bool(reply)

    async def note_wait(self, stage: str, why: str) -> None:
        """Say what some guests of a stage wait for; '' once they do not."""
        key = self.keys.job(stage)
        if why:
            await self._scripts["write_for_job"](keys=[key, key], args=[0, "waits", why])
        else:
            await self.client.hdel(key, "waits")

    async def _move(self, job: str, state: str, why: str, what: str = "") -> JobState | None:
        reply = await self._scripts["move_job"](keys=[self.keys.job(job)], args=[self.keys.prefix, job, state, why])
        stands, is_so = reply or (b"", 0)
        if what and is_so:
            connection = await self.client.hget(self.keys.job(job), "connection")
            await self.trail.note(what, job=job, connection=(connection or b"").decode(), why=why)
        return JobState(stands.decode()) if stands else None

    async def delete(self, job: str) -> bool:
        """Remove every trace of a job and its stages. A running one is cancelled first; of a late
        answer the index of guests alone takes note.
        """
        fields = await self.client.hmget(self.keys.job(job), *_REMOVED_BY)
        if fields[:2] == [None, None]:
            return False
        try:
            await self._move(job, "cancelled", GOING)  # from here on nothing of it is sent or offered
        except OutOfMemoryError:  # without the job nothing is either; and deleting is what makes room
            await self.client.delete(self.keys.job(job))
        await self._remove(job, fields)
        return True

    async def drop(self, job: str) -> bool:
        """Remove every trace of a job that does not run yet. False: it was started, so it stays
        with all that it has done; or there is none.
        """
        fields = await self.client.hmget(self.keys.job(job), *_REMOVED_BY)
        if fields[0] != b"loading" or not await self._scripts["drop_job"](keys=[self.keys.job(job)], args=[GOING]):
            return False
        await self._remove(job, fields)
        return True

    async def _remove(self, job: str, fields: Sequence[bytes | None]) -> None:
        """Remove what there is of a job that sends nothing any more. `fields`: as it was before."""
        was_accepted, chunks = fields[0] != b"loading", int(fields[1] or 0)
        for stage in stages_of(job, fields[4]):
            await self._remove_stage(stage, chunks)
        if was_accepted:
            await self.trail.keep_unfinished(job, chunks)
        await self._unlink(self.keys.chunk(job, number) for number in range(chunks))
        if was_accepted:
            told = {"connection": (fields[2] or b"").decode(), "rows": int(fields[3] or 0)}
            await self.trail.note("job.deleted", job=job, was=(fields[0] or b"").decode(), **told)
        if submission := await self._submission_of(job):
            await self.submissions.drop(submission, job)
        # Last: should this be killed half-way, the job is still there to be deleted again
        await self.client.delete(self.keys.job_targets(job), self.keys.job(job), self.keys.back(job))
        await self.client.zrem(self.keys.jobs(), job)
        await note_erased(self.client, self.keys)
        await self.client.zrem(self.keys.loading(), job)
        await self.client.srem(self.keys.ending(), job)

    async def _remove_stage(self, stage: str, root_chunks: int) -> None:
        chunks = int(await self.client.hget(self.keys.job(stage), "chunks") or 0)
        await self.trail.keep_unfinished(stage, chunks)
        await self._unlink(self.keys.chunk(stage, number) for number in range(chunks))
        await self._unlink(self.keys.stage_guests(stage, number) for number in range(root_chunks))
        await self._drop_gathered(stage)
        await self.client.delete(self.keys.job(stage), self.keys.back(stage))
        await self.client.zrem(self.keys.jobs(), stage)

    async def _drop_gathered(self, stage: str) -> None:
        """Remove what an ended stage has gathered, as its end did if the server had room."""
        lists = await self.client.zrange(self.keys.lists(stage), 0, -1)
        await self._unlink(self.keys.gathered(stage, raw.decode()) for raw in lists)
        await self.client.delete(self.keys.lists(stage))
        await self.client.zrem(self.keys.gathering(), stage)

    async def _unlink(self, names: Iterable[str]) -> None:
        left = iter(names)
        while part := [*islice(left, _AT_ONCE)]:
            await self.client.unlink(*part)

    async def expire_ended(self) -> None:
        """Give ended jobs their expiry, and let those that have expired leave the list. Called by
        dispatchers; safe to run twice or to be killed in between.
        """
        for raw in await self.client.srandmember(self.keys.ending(), 10):
            job = raw.decode()
            chunks, stages = await self.client.hmget(self.keys.job(job), "chunks", "stages")
            for stage in stages_of(job, stages):
                await self._expire(self.keys.stage_guests(stage, number) for number in range(int(chunks or 0)))
                await self._drop_gathered(stage)
                await self._expire_job(stage)
            await self._expire((self.keys.job_targets(job),))
            await self._expire_job(job)
            if submission := await self._submission_of(job):
                await self.submissions.expire(submission, self.keep_s)
            if await self.client.srem(self.keys.ending(), job):
                await self._note_end(job)
        for raw in await self.client.zrandmember(self.keys.jobs(), 10):
            if not await self.client.exists(self.keys.job(raw.decode())):
                await self.client.zrem(self.keys.jobs(), raw)
                await note_erased(self.client, self.keys)

    async def _submission_of(self, job: str) -> str:
        """Return the submission that a job belongs to, '' for none."""
        info = await self.client.hget(self.keys.job(job), "info")
        return str(orjson.loads(info).get(SUBMISSION, "")) if info else ""

    async def _expire_job(self, job: str) -> None:
        chunks = int(await self.client.hget(self.keys.job(job), "chunks") or 0)
        await self.trail.keep_unfinished(job, chunks)
        await self._expire(self.keys.chunk(job, number) for number in range(chunks))
        await self._expire((self.keys.back(job), self.keys.job(job)))

    async def _expire(self, names: Iterable[str]) -> None:
        left, keep = iter(names), round(self.keep_s)
        while part := [*islice(left, _AT_ONCE)]:
            async with self.client.pipeline(transaction=False) as pipe:
                for name in part:
                    pipe.expire(name, keep)
                await pipe.execute()

    async def _note_end(self, job: str) -> None:
        view = await self.view(job)
        if view is None or view.lane is Lane.NOW:
            return
        counts = {name: count for name, count in view.told().items() if count}
        await self.trail.note(
            "job.ended", by="usher", job=job, connection=view.connection, state=view.state.value, **counts
        )

    async def remove_abandoned(self, *, sure_s: float = _SURE_S) -> list[str]:
        """Remove jobs whose maker was killed while loading them; returns their ids."""
        seconds, _ = await self.client.time()
        silent = await self.client.zrangebyscore(
            self.keys.loading(), "-inf", (seconds - ABANDONED_S) * 1000, withscores=True, start=0, num=100
        )
        now_s = time.monotonic()
        heard = {raw.decode(): score for raw, score in silent}
        known, self._silent = self._silent, {}
        removed = []
        for job, score in heard.items():
            before, since_s = known.get(job, (score, now_s))
            if before != score:
                since_s = now_s
            if now_s - since_s < sure_s:
                self._silent[job] = (score, since_s)
                continue
            if await self.drop(job):
                removed.append(job)
            await self.client.zrem(self.keys.loading(), job)
        return removed
