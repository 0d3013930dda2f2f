"""The one door: every list and every single guest, from the CLI or from a producer, enters the
ledger here.

A list is loaded first, chunk by chunk while it is read, into a job that does not run yet; the plan
is told from what was loaded. Then it is started, or dropped without a trace. A row is accepted once
its job has been started.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from redis.exceptions import OutOfMemoryError

from config.connections import ALL
from config.errors import quoted
from config.values import NAME
from tasks.asked_stages import AskedStages, find_asked, find_stages
from tasks.errors import JobExists
from tasks.lists.duplicates import SeenAddresses
from tasks.rows.fields import CONNECTION
from tasks.rows.row import BadRow, ValidRow, build_bad_row
from worker.addresses import fold_address, guest_of
from worker.channels import INVITE, NOBODYS, name_channel
from worker.errors import LedgerFull
from worker.ledger.approval import explain
from worker.ledger.jobs import Jobs
from worker.ledger.loading import Loading, LoadingStage
from worker.ledger.model import JobState, Lane, Options, Outcome, RowState
from worker.ledger.notices import Notices
from worker.operations.operation import MAILED, Channel, Operation
from worker.operations.registry import find_operation
from worker.store.client import REFUSE_AT, read_memory

if TYPE_CHECKING:
    from config.connections import Connection

_ABANDONED_S = 60.0
"""A job that loads so long from one message was left by a dead worker; it is loaded anew."""
_NAMED_ID = re.compile(r"(.+)-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.DOTALL)
_SHOWN_BAD = 1000  # bad rows kept to be reported; the rest are counted
_LOOK_EVERY = 5000  # rows between two looks at how full Redis is
_OUTCOME_BYTES = 250  # that a row's ids and sealed link will need, at most
_ITEM_BYTES = 250  # that an item of a stage will need with its outcome, at most: each is made while the job runs
_WRITE_EVERY = 100  # rows between two looks at whether chunks wait to be written


@dataclass(slots=True)
class Loaded:
    """What was loaded, and what it will do: the plan in numbers."""

    loading: Loading
    rows: int = 0
    to_send: int = 0
    bad: list[BadRow] = field(default_factory=list)
    bad_count: int = 0
    duplicates: int = 0
    blocked: int = 0
    mails: int = 0
    remarks: Counter[str] = field(default_factory=Counter)  # what else the operation remarks of rows to be sent
    stages: Sequence[Operation] = ()  # those that a row may ask for
    options: Options = field(default_factory=Options)
    asked: AskedStages = field(default_factory=AskedStages)  # of rows to be sent: what follows their invitation
    today: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())

    @property
    def job(self) -> str:
        """The job's id."""
        return self.loading.id


def new_job_id() -> str:
    """Return a fresh id: ten letters and digits that are hard to misread."""
    return _encode(secrets.token_bytes(7))[:10]


class Follows(StrEnum):
    """What a job's id follows from. Ids of different kinds never meet, whatever the text."""

    GUEST = "guest"
    """A message for one guest: connection and Celery task id."""
    LIST = "list"
    """A message with rows: the same."""
    KEY = "key"
    """A list's key: connection, who sent it (`sender_of`), key."""
    RUN = "run"
    """A schedule's run: its name, the connection of one over several, and time."""
    SUBMISSION = "submission"
    """A list's key, of a list that goes through several connections: these as they were named, who
    sent it, key. And each of its jobs: that submission's id and the connection.
    """
    RETRY = "retry"
    """A schedule's retry of a job: that job's id."""


def job_id_of(follows: Follows, *parts: str | int) -> str:
    """Return the id that follows from what a job is made of: one message twice is one job."""
    # 80 bits: every single guest of a producer is a job, and none may ever be taken for another
    return _encode(hashlib.sha256(json.dumps(["usher job", follows, *parts]).encode()).digest())[:16]


def sender_of(task_id: str) -> str:
    """Return who sent a message, as far as its task id says: `portal` of `portal-6b0c1e0e-3c1b-…`,
    '' of a bare UUID or another text.

    Where Redis has users (deploy/redis), nobody else can read what is answered to that id.
    """
    found = _NAMED_ID.fullmatch(task_id)
    return found[1] if found else ""


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().lower()


async def load(
    jobs: Jobs,
    connection: Connection,
    rows: Iterable[ValidRow | BadRow],
    *,
    job: str,
    lane: Lane = Lane.BULK,
    options: Options | None = None,
    info: dict[str, Any] | None = None,
    pilot: int = 0,
    operation: str = INVITE,
) -> Loaded:
    """Load a list into a job that does not run yet.

    Bad rows and repeated addresses enter with their outcome. `pilot`: so many rows are sent, then
    the job pauses. `info["notify"]`: who is told of it, else whom its connection names. What
    follows an invitation becomes a stage of the job where some row asks for it. Raises `JobExists`;
    and what reading the rows raises (`InputError`), and `LedgerFull`, with the half-loaded job
    removed; redis-py's errors pass.
    """
    channel = Channel(connection, find_operation(operation))
    options = channel.operation.settle(options or Options(), connection)
    stages = find_stages(connection, channel.operation)
    left = iter(rows)
    try:
        loading = await jobs.create(
            job,
            channel.name,
            lane,
            options=options,
            info=info,
            pilot=pilot,
            needs_approval=explain(job, connection.name, info or {}) if connection.require_approval else "",
            stages=[LoadingStage(one.name, Channel(connection, one).name, one.rows_a_call) for one in stages],
        )
    except OutOfMemoryError:
        raise await _full(jobs, sum(1 for _ in left), 0) from None
    if loading is None:
        raise JobExists
    loaded = Loaded(loading, stages=stages, options=options)
    try:
        named = (info or {}).get("notify")
        told = named or (connection.notify if lane is Lane.BULK else None)
        if told:
            whose = (info or {}).get("notify_from", "") if named else ""
            await Notices(jobs.client, jobs.keys).watch(job, told, whose)
        await _fill(jobs, loaded, left, channel, options)
    except OutOfMemoryError:
        await jobs.delete(job)
        raise await _full(jobs, loaded.rows + sum(1 for _ in left), _bytes_a_row(loaded)) from None
    except BaseException:
        await jobs.delete(job)
        raise
    return loaded


async def _fill(
    jobs: Jobs, loaded: Loaded, rows: Iterator[ValidRow | BadRow], channel: Channel, options: Options
) -> None:
    """Put the rows into the ledger as they come. Raises `OutOfMemoryError` before their outcomes
    could fill what Redis has left.
    """
    seen = SeenAddresses()
    for row in rows:
        _put(loaded, row, seen, channel, options)
        if loaded.rows % _WRITE_EVERY == 0:
            await jobs.write(loaded.loading)
        if loaded.rows % _LOOK_EVERY == 0:
            await _need_room(jobs, loaded)
    await jobs.write(loaded.loading, all_of_it=True)
    await _need_room(jobs, loaded)


async def _need_room(jobs: Jobs, loaded: Loaded) -> None:
    memory = await read_memory(jobs.client)
    if memory.is_beyond(REFUSE_AT, loaded.rows * _OUTCOME_BYTES + loaded.asked.items * _ITEM_BYTES):
        raise OutOfMemoryError


async def _full(jobs: Jobs, rows: int, bytes_a_row: int) -> LedgerFull:
    """Return the sentence about a list that found no room; its half-loaded job is gone."""
    memory = await read_memory(jobs.client)
    mb = 1 << 20
    need = rows * (bytes_a_row + _OUTCOME_BYTES)
    return LedgerFull(
        f"Redis has no room for this list: its {rows:,} {'row needs' if rows == 1 else 'rows need'} about"
        f" {max(1, round(need / mb)):,} MB, and {memory.used / mb:,.0f} MB of {memory.most / mb:,.0f} MB are taken"
        f" (jobs are taken in up to {REFUSE_AT:.0%}); nothing was sent. Whoever runs this Redis raises its maxmemory,"
        " or deletes old jobs (usher jobs delete)."
    )


def _bytes_a_row(loaded: Loaded) -> int:
    return (loaded.loading.bytes + loaded.asked.items * _ITEM_BYTES) // max(1, loaded.rows)


def keep_to(row: ValidRow | BadRow, *connections: str, known: Container[str] = ()) -> ValidRow | BadRow:
    """Return a row for these connections without the name of its own, or why it is for none of
    them: a row that names one goes to no other, through whatever door it comes. The name is told
    where it can be one, or `known` in small letters; else it may be an address of a misplaced
    column.
    """
    if isinstance(row, BadRow) or CONNECTION not in row.row:
        return row
    if row.row[CONNECTION] not in (*connections, ALL):
        small = row.row[CONNECTION].lower()
        named = f"names {quoted(row.row[CONNECTION])}, " if NAME.fullmatch(small) else "names "
        if small in (connections or known):
            named = f"{named[:-2]} (did you mean {small}?), "
        chosen = "another connection than was" if len(connections) == 1 else "a connection that is not among those"
        return build_bad_row(row.row, row.number, row.line, CONNECTION, f"{named}{chosen} chosen")
    return row._replace(row={name: value for name, value in row.row.items() if name != CONNECTION})


def _put(loaded: Loaded, row: ValidRow | BadRow, seen: SeenAddresses, channel: Channel, options: Options) -> None:
    loaded.rows += 1
    connection = channel.connection
    row = keep_to(row, connection.name)
    if isinstance(row, BadRow):
        loaded.bad_count += 1
        if len(loaded.bad) < _SHOWN_BAD:
            loaded.bad.append(row)
        _put_bad(loaded.loading, row)
        return
    values = row.row
    asks = find_asked(loaded.stages, values, options)
    earlier = seen.first(guest_of(values), loaded.rows)
    if earlier is not None:
        loaded.duplicates += 1
        same = "guest" if "user_id" in values else "address"
        message = f"The same {same} as row {earlier}, which is the one that counts."
        loaded.loading.put(values, _ended(RowState.SKIPPED, "duplicate", message), asks)
        return
    lists_domains = (connection.allowed_domains or connection.blocked_domains) and channel.operation.brings(values)
    if lists_domains and not connection.accepts_domain(fold_address(values["email"]).rpartition("@")[2]):
        loaded.blocked += 1
        message = f"Not sent: the settings of connection {connection.name} do not allow this domain."
        loaded.loading.put(values, _ended(RowState.FAILED, "blocked_domain", message), asks)
        return
    loaded.to_send += 1
    loaded.asked.add(asks)
    loaded.mails += channel.operation.mail(values, connection, options) == MAILED
    loaded.remarks.update(channel.operation.remarks(values, options))
    if "expires" in values and values["expires"] < loaded.today:
        loaded.remarks["ended"] += 1
    loaded.loading.put(values, asks=asks)


def _put_bad(loading: Loading, row: BadRow, *more: str) -> None:
    shown = {name: value for name in ("display_name", "ref", *more) if (value := getattr(row, name))}
    loading.put({"email": row.email, **shown}, _ended(RowState.FAILED, "invalid_row", f"Not sent: {row}."))


async def load_nobodys(jobs: Jobs, rows: Iterable[BadRow], *, job: str, info: dict[str, Any], operation: str) -> Loaded:
    """Load bad rows that are no connection's into a job that has none (`NOBODYS`), where they have
    ended. Raises as `load`.
    """
    loading = await jobs.create(job, name_channel(NOBODYS, operation), Lane.BULK, info=info)
    if loading is None:
        raise JobExists
    loaded = Loaded(loading)
    try:
        for row in rows:
            loaded.rows += 1
            _put_bad(loading, row, CONNECTION)
            if loaded.rows % _WRITE_EVERY == 0:
                await jobs.write(loading)
        await jobs.write(loading, all_of_it=True)
        await _need_room(jobs, loaded)
    except OutOfMemoryError:
        await jobs.delete(job)
        raise await _full(jobs, loaded.rows, _bytes_a_row(loaded)) from None
    except BaseException:
        await jobs.delete(job)
        raise
    loaded.bad_count = loaded.rows
    return loaded


async def load_message(
    jobs: Jobs,
    connection: Connection,
    rows: list[ValidRow | BadRow],
    *,
    job: str,
    lane: Lane,
    options: Options,
    info: dict[str, Any],
    admit: Callable[[Loaded], Awaitable[None]],
) -> None:
    """Load and start what one message brought. The same message again changes nothing, unless its
    worker died half-way. `admit` raises where what was loaded may not be started; it is dropped
    then.
    """
    try:
        loaded = await load(jobs, connection, rows, job=job, lane=lane, options=options, info=info)
    except JobExists:
        view = await jobs.view(job)
        if view is None or view.state is not JobState.LOADING:
            return
        if (datetime.now(UTC) - view.created_at).total_seconds() < _ABANDONED_S:
            return  # another worker is at it
        await jobs.drop(job)
        await load_message(jobs, connection, rows, job=job, lane=lane, options=options, info=info, admit=admit)
    else:
        async with dropping(jobs, loaded):
            await admit(loaded)
        await start(jobs, loaded)


async def start(jobs: Jobs, loaded: Loaded) -> JobState:
    """Let a loaded job run: from now on its rows are accepted."""
    return await jobs.start(loaded.loading)


async def start_together(jobs: Jobs, loaded: Sequence[Loaded]) -> dict[str, JobState]:
    """Let loaded jobs run, all at once or, in a killed process, none; returns how each stands."""
    return await jobs.start_together([one.loading for one in loaded])


async def drop(jobs: Jobs, loaded: Loaded) -> bool:
    """Remove a loaded job that was not started; nothing of it was sent. False: it runs, although
    whoever started it may have heard of a failure, and it stays.
    """
    return await jobs.drop(loaded.job)


@asynccontextmanager
async def dropping(jobs: Jobs, *loaded: Loaded) -> AsyncIterator[None]:
    """Drop loaded jobs where the block that starts them is left by an error."""
    try:
        yield
    except BaseException:
        for one in loaded:
            await drop(jobs, one)
        raise


def _ended(letter: RowState, code: str, message: str) -> Outcome:
    return Outcome(0, letter, code=code, message=message)
