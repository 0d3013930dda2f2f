"""`usher jobs verify`: every row that is still to be sent, and must not be sent twice, is looked
up, because the ledger may not know that it was sent already.

After a restore from backup everything is held (`worker/process/epochs.py`) until this has been
done. Whoever is found is judged by the row's own operation, as after an attempt since the backup's
last moment: an invitation ends as invited, where the user was created after that moment, else as
one of a guest of before. Who is absent stays pending. Where nobody may look, the connection stays
held for a person, who knows what was sent. What may be done again is passed over. Nothing is sent
from here, and it may be run at any time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from config.errors import ConfigError
from worker.addresses import guest_of
from worker.channels import split_channel
from worker.directory.lookups import Found, LookUps, WhyNot
from worker.errors import TokenUnavailable
from worker.graph.users import MOST_ADDRESSES
from worker.ledger import packing
from worker.ledger.gates import HoldReason
from worker.ledger.job_rows import chunks_of, every_job
from worker.ledger.keys import Keys
from worker.ledger.model import IndexPlace, Lane, Options, Outcome, RowState, status_of
from worker.ledger.stages import split_stage
from worker.operations.operation import Asked, Attempt, Channel
from worker.operations.registry import OPERATIONS, find_operation
from worker.operations.stages import Chain
from worker.sending.reactions import Reactions

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.operations.operation import Operation
    from worker.services import Services

_OPEN = ("running", "paused", "held")
_TRIES = 30
_WAIT_S = 2.0
"""A look-up that found no token of the read quota is made again for a minute."""

_GATHERED_S = 0.5
_GATHERED_TRIES = 20  # five times as long as such a stage gathers

NOT_ALLOWED = (
    "the app may not read users, so nobody can look (grant User.Read.All, or find out by hand who was invited)"
)
_LATER = "Microsoft Graph could not be asked now: say it again later"
_STOP_IT = ": pause or cancel that job"
_UNKNOWN = "this usher does not know the connection, so it cannot look"


@dataclass(slots=True)
class Verified:
    """What came of one connection's open rows."""

    connection: str
    rows: int = 0  # pending rows, looked up or not
    jobs: set[str] = field(default_factory=set)
    ended: Counter[str] = field(default_factory=Counter)  # by what programs read of the rows that were found
    absent: int = 0  # looked up and not there: they stay pending
    in_doubt: int = 0  # on the wire or in doubt: workers look them up by themselves
    obstacles: Counter[str] = field(default_factory=Counter)  # why rows could not be looked up → how many
    held: bool = False  # since now, until a person reopens it or this was done again

    @property
    def complete(self) -> bool:
        """Whether every open row was looked up."""
        return not self.obstacles


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` did."""

    connections: tuple[Verified, ...]
    restored: bool  # the ledger was held as a restored one
    operator_holds: bool  # somebody holds everything besides


@dataclass(frozen=True, slots=True)
class _Chunk:
    job: str
    connection: str
    operation: str
    number: int
    lane: Lane
    options: Options
    stages: tuple[str, ...]
    base: int
    rows: list[dict[str, Any]] = field(repr=False)
    letters: str
    attempts: str
    packed: bytes = field(repr=False)

    def pending(self) -> list[int]:
        return [i for i, letter in enumerate(self.letters) if letter in ".q"]


async def verify(services: Services) -> Verification:
    """Look up every open row of every job, then open what can be opened. Raises redis-py's
    outages.
    """
    client: Any = services.client
    keys = services.keys
    restored_from = await client.hget(keys.epoch(), "restored_from")
    held = await client.hgetall(keys.hold_all())
    restored = held.get(b"kind") == b"restored"
    run = _Verifying(services, int(restored_from) if restored_from else None)
    if restored_from:
        await _wait_for_gathered(client, keys)
    async for chunk in _open_chunks(services):
        await run.look_at(chunk)
    names = {split_channel(raw.decode())[0] for raw in await client.smembers(keys.connections())}
    for name in sorted(names):
        if restored or (await services.gates.of(name)).kind is HoldReason.RESTORED:
            await run.look_whether_possible(name)
    for verified in run.found.values():
        if verified.complete:
            await services.gates.reopen(verified.connection, HoldReason.RESTORED)
        elif restored or (await services.gates.of(verified.connection)).kind is HoldReason.RESTORED:
            verified.held = True
            await services.gates.hold(verified.connection, HoldReason.RESTORED, _why(verified))
    if restored:
        await services.gates.reopen_everything()
    complete = all(verified.complete for verified in run.found.values())
    if restored_from and complete:
        await client.hdel(keys.epoch(), "restored_from")
    return Verification(
        tuple(sorted(run.found.values(), key=lambda one: one.connection)), restored, bool(held) and not restored
    )


class _Verifying:
    """One verification under way."""

    def __init__(self, services: Services, restored_from_ms: int | None) -> None:
        self._services = services
        self._look_ups = LookUps(services, Reactions(services))
        self._restored_from_ms = restored_from_ms
        self.found: dict[str, Verified] = {}

    def _of(self, name: str) -> Verified:
        return self.found.setdefault(name, Verified(name))

    async def _connection(self, name: str) -> Connection | None:
        try:
            return await self._services.resolved(name)
        except TokenUnavailable:
            return self._services.connection(name)  # nobody is found then, for signing in fails too
        except ConfigError:
            return None

    async def look_whether_possible(self, name: str) -> None:
        """Ask for nobody: a connection that may not read users cannot be vouched for, even without
        an open row.
        """
        verified, connection = self._of(name), await self._connection(name)
        if connection is None or verified.rows:
            if connection is None:
                verified.obstacles[_UNKNOWN] += 0
            return
        found = await self._find(connection, ["nobody@usher.invalid"])
        if found.why_not is not None:
            verified.obstacles[_reason(found.why_not)] += 0

    async def look_at(self, chunk: _Chunk) -> None:
        """Look up one chunk's pending rows and end those that are there."""
        operation, unknown = _operation_of(chunk)
        if operation is not None and (operation.repeatable or self._is_untold(operation)):
            return
        verified, pending = self._of(chunk.connection), chunk.pending()
        verified.in_doubt += sum(letter in "sd" for letter in chunk.letters)
        verified.rows += len(pending)
        if not pending:
            return
        verified.jobs.add(chunk.job)
        connection = await self._connection(chunk.connection)
        if connection is None or operation is None:
            verified.obstacles[unknown or _UNKNOWN] += len(pending)
        elif not operation.shown:
            await self._leave_in_doubt(Channel(connection, operation), chunk, pending, verified)
        else:
            unseen = {i: why for i in pending if (why := operation.explain_unseen(chunk.rows[i], chunk.options))}
            verified.obstacles.update(why + _STOP_IT for why in unseen.values())
            shown = [i for i in pending if i not in unseen]
            for start in range(0, len(shown), MOST_ADDRESSES):
                rows = shown[start : start + MOST_ADDRESSES]
                await self._look_up(Channel(connection, operation), chunk, rows, verified)

    def _is_untold(self, operation: Operation) -> bool:
        """Whether there is nothing to find out: a ledger that was not restored knows what was sent
        of that which no directory shows.
        """
        return not operation.shown and self._restored_from_ms is None

    async def _leave_in_doubt(self, channel: Channel, chunk: _Chunk, pending: list[int], verified: Verified) -> None:
        """End rows that may have been done since the backup, and of which nobody can find out."""
        now_ms, why = self._services.clocks.redis_ms(), channel.operation.explain_doubt(None)
        outcomes = [Outcome(i, RowState.LEFT_IN_DOUBT, code="restored", message=why, at_ms=now_ms) for i in pending]
        await self._record(channel, chunk, outcomes, None, verified)

    async def _look_up(self, channel: Channel, chunk: _Chunk, pending: list[int], verified: Verified) -> None:
        connection, operation = channel.connection, channel.operation
        addresses = {i: guest_of(chunk.rows[i]) for i in pending}
        found = await self._find(connection, sorted(set(addresses.values())), operation.reads)
        services = self._services
        now_ms = services.clocks.redis_ms()
        users = found.users or {}
        attempts = self._attempts(channel, chunk, pending, now_ms)
        judged = (
            operation.judge_seen(Asked(i, chunk.rows[i], users[address]), chunk.options, attempts.get(i))
            for i, address in addresses.items()
            if address in users
        )
        outcomes = [replace(outcome, at_ms=now_ms) for outcome in judged if outcome]
        if outcomes:
            index = await services.index.place(
                connection.tenant_key, {o.index: chunk.rows[o.index]["email"] for o in outcomes}
            )
            await self._record(channel, chunk, outcomes, index, verified)
        for i in addresses.keys() - {outcome.index for outcome in outcomes}:
            why_not = found.why_not_of(addresses[i])
            if why_not is None:
                verified.absent += 1
            else:
                verified.obstacles[_reason(why_not)] += 1

    async def _record(
        self, channel: Channel, chunk: _Chunk, outcomes: list[Outcome], index: IndexPlace | None, verified: Verified
    ) -> None:
        chain = Chain.of(
            *(chunk.job, chunk.number, chunk.base, chunk.options, chunk.stages, chunk.packed),
            suspect=self._restored_from_ms is not None,
            invites=channel.operation.invites,
        )
        await self._services.ledger.record_look_up(
            *(chunk.job, chunk.number, channel.name, chunk.lane, outcomes, index),
            chained=chain.tell(chunk.rows, outcomes),
        )
        verified.ended.update(status_of(outcome.letter, channel.operation.name) for outcome in outcomes)

    def _attempts(self, channel: Channel, chunk: _Chunk, pending: list[int], now_ms: int) -> dict[int, Attempt]:
        """Of a restored ledger every row may have been sent since its last moment, and who was
        created since was: by us.
        """
        if self._restored_from_ms is None:
            return {}
        connection = channel.connection
        since_s = self._services.clocks.graph_time(connection.graph_url, self._restored_from_ms)
        made = {}
        for i in pending:
            mail = channel.operation.mail(chunk.rows[i], connection, chunk.options)
            attempts = int(chunk.attempts[i]) if chunk.attempts else 0
            outcome = Outcome(i, RowState.DONE, mail=mail, attempts=attempts, at_ms=now_ms)
            made[i] = Attempt(since_s, outcome, sure=False)
        return made

    async def _find(self, connection: Connection, addresses: list[str], more: Sequence[str] = ()) -> Found:
        """Look up; what has to wait is asked for again for a while."""
        found = Found(why_not=WhyNot.LATER)
        for left in range(_TRIES - 1, -1, -1):
            found = await self._look_ups.find(connection, addresses, more=more)
            later = found.why_not is WhyNot.LATER or WhyNot.LATER in found.unknown.values()
            if not later or not left or (await self._services.gates.of(connection.name)).kind is HoldReason.CREDENTIAL:
                break
            await asyncio.sleep(_WAIT_S)
        return found


async def _wait_for_gathered(client: Any, keys: Keys) -> None:
    """Wait until what stages had gathered when the backup was made lies in chunks, where it is
    found: of what nobody can look up no row may be missed. A worker sees to it.
    """
    for _ in range(_GATHERED_TRIES):
        waiting = [split_stage(raw.decode())[1] for raw in await client.zrange(keys.gathering(), 0, -1)]
        if all(name in OPERATIONS and OPERATIONS[name].shown for name in waiting):
            return
        await asyncio.sleep(_GATHERED_S)


def _operation_of(chunk: _Chunk) -> tuple[Operation | None, str]:
    """Return a chunk's operation, or why nobody here can judge by it."""
    try:
        return find_operation(chunk.operation), ""
    except ConfigError as error:
        return None, f"{error}, so it cannot look"


def _reason(why_not: WhyNot) -> str:
    return NOT_ALLOWED if why_not is WhyNot.MAY_NOT else _LATER


async def _open_chunks(services: Services) -> AsyncIterator[_Chunk]:
    """Yield the chunks of jobs that have not ended which have open rows."""
    client, keys = services.client, services.keys
    async for job in every_job(client, keys, "state", "connection", "lane", "options", "stages"):
        if job.fields.get("state", b"").decode() not in _OPEN:
            continue
        connection, operation = split_channel(job.fields["connection"].decode())
        lane = Lane(job.fields["lane"].decode())
        options = Options(**orjson.loads(job.fields["options"]))
        stages = tuple(job.fields.get("stages", b"").decode().split())
        async for number, fields in chunks_of(client, keys, job, "st", "at", "rows", "base"):
            letters = fields.get(b"st", b"").decode()
            if b"rows" in fields and set(letters) & set(".qsd"):
                rows, attempts = packing.unpack_rows(fields[b"rows"]), fields.get(b"at", b"").decode()
                yield _Chunk(
                    *(job.id, connection, operation, number, lane, options),
                    *(stages, int(fields[b"base"]), rows, letters, attempts),
                    fields[b"rows"],
                )


def _why(verified: Verified) -> str:
    """Return the sentence of a connection that stays held."""
    reasons = "; ".join(verified.obstacles)
    return (
        f"The ledger was restored from a backup and rows of this connection may have been sent since, but {reasons}."
        f" `usher jobs verify` looks again; `usher connections reopen {verified.connection}` sends what is left, at the"
        " risk of mailing people twice."
    )
