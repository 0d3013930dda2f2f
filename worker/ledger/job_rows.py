"""Rows are read as they stand, of one job or of all, chunk by chunk: a list of any length passes
through little memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from worker.channels import INVITE, split_channel
from worker.ledger.chunk_contents import ChunkContents, check_links, links_context, read_chunk
from worker.ledger.keys import Keys
from worker.ledger.model import FINAL, RESEND, STAGES_DONE, Options, RowState, status_of
from worker.ledger.scripts import InLedger
from worker.ledger.stages import NOT_ASKED, split_stage, stages_of
from worker.store.keyring import FindSealer, find_or_none, no_sealer

STAGE_FAILED = "stage_failed"
"""The code of a row whose own end was good, and a stage of which failed."""
_AT_ONCE = 500  # jobs asked for in one round trip
_REFUSED = (RowState.FAILED, RowState.LEFT_IN_DOUBT)
_DONE = (RowState.DONE, RowState.ALREADY)
_SETTLED = (*_DONE, RowState.LEFT_IN_DOUBT, RowState.SKIPPED)
"""What is not done again unasked in a stage of a guest who is there: what may be done, too."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job of the list, with those of the fields asked for that it has."""

    id: str
    chunks: int
    fields: dict[str, bytes]


async def every_job(client: Any, keys: Keys, *names: str, since_ms: float | None = None) -> AsyncIterator[StoredJob]:
    """Yield all jobs, the oldest first. `since_ms`: those submitted from then on."""
    since = "-inf" if since_ms is None else since_ms
    ids = [raw.decode() for raw in await client.zrangebyscore(keys.jobs(), since, "+inf")]
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        async with client.pipeline(transaction=False) as pipe:
            for job in part:
                pipe.hmget(keys.job(job), "chunks", *names)
            found = await pipe.execute()
        for job, (chunks, *values) in zip(part, found, strict=True):
            fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            yield StoredJob(job, int(chunks or 0), fields)


async def chunks_of(
    client: Any, keys: Keys, job: StoredJob, *names: str
) -> AsyncIterator[tuple[int, dict[bytes, bytes]]]:
    """Yield a job's chunks by number, each with its fields: those that are named, else all. What is
    gone is left out.
    """
    for number in range(job.chunks):
        key = keys.chunk(job.id, number)
        if names:
            values = await client.hmget(key, *names)
            fields = {name.encode(): value for name, value in zip(names, values, strict=True) if value is not None}
        else:
            fields = await client.hgetall(key)
        if fields:
            yield number, fields


class RefusedRow(NamedTuple):
    """A row that may be tried again: how it ended, its code, the row. `waits`: a stage of it still
    goes on.
    """

    state: RowState
    code: str
    row: dict[str, Any]
    waits: bool


class JobRows(InLedger):
    """Reads the rows of jobs, over one Redis client; without a sealer no redeem links."""

    def __init__(self, client: Redis, keys: Keys, sealer: FindSealer = no_sealer) -> None:
        super().__init__(client, keys)
        self._sealer = sealer

    async def chunks(self, job: str) -> AsyncIterator[ChunkContents]:
        """Yield a job's chunks in order, as they stand; without links."""
        chunks = await self._client.hget(self._keys.job(job), "chunks")
        for number in range(int(chunks or 0)):
            fields = await self._client.hgetall(self._keys.chunk(job, number))
            if b"st" not in fields:
                return
            yield read_chunk(fields, None, b"")

    async def refused(self, job: str, telling_link: Collection[str] = ()) -> AsyncIterator[RefusedRow]:
        """Yield the rows that failed or stayed in doubt, or a stage of which failed, as they were
        submitted (`packing.pack_finished`) and with their stages that are done, or may be.

        Who is mailed on purpose: whose own end was bad, if they were so before, and whose failed
        stage is one of those `telling_link`, which need a new one. Nobody else has their link
        replaced, nor a second mail.
        """
        options, names = await self._client.hmget(self._keys.job(job), "options", "stages")
        resend = Options(**orjson.loads(options or b"{}")).resend
        operations = [split_stage(stage)[1] for stage in stages_of(job, names)]
        number = 0
        async for contents in self.chunks(job):
            stages = [await self._guests(stage, number, len(contents.rows)) for stage in stages_of(job, names)]
            number += 1
            for i, (row, letter) in enumerate(zip(contents.rows, contents.letters, strict=True)):
                stood = {name: letters[i] for name, letters in zip(operations, stages, strict=True)}
                failed = {name for name, end in stood.items() if end == RowState.FAILED}
                if letter not in _REFUSED and not failed:
                    continue
                is_own, outcome = letter in _REFUSED, contents.outcomes[i]
                settled = _DONE if is_own else _SETTLED
                is_again = resend or bool(row.get(RESEND)) if is_own else not failed.isdisjoint(telling_link)
                yield RefusedRow(
                    RowState(letter) if is_own else RowState.FAILED,
                    (outcome.code if outcome else "") if is_own else STAGE_FAILED,
                    _as_fed_back(row, {name for name, end in stood.items() if end in settled}, resend=is_again),
                    waits=any(end not in FINAL and end != NOT_ASKED for end in stood.values()),
                )

    async def _guests(self, stage: str, chunk: int, rows: int) -> str:
        """Return how the rows of one chunk stand in a stage, a letter each."""
        letters: bytes | None = await self._client.hget(self._keys.stage_guests(stage, chunk), "st")
        return (letters or b"").decode().ljust(rows, NOT_ASKED)

    async def results(self, job: str, *, after: int = 0, limit: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield a job's rows as they stand, in order, from row `after` + 1 on: the columns of the
        results file, and two for each stage.
        """
        names = ("state", "chunks", "connection", "stages", "created_at", "finished_at")
        state, chunks, channel, stages, created, ended = await self._client.hmget(self._keys.job(job), *names)
        if state is None:
            return
        after_it = [] if state == b"loading" else stages_of(job, stages)
        cancelled, (_, operation) = state == b"cancelled", split_channel((channel or b"").decode())
        states = {stage: await self._client.hget(self._keys.job(stage), "state") for stage in after_it}
        left = limit
        for number in range(await self._chunk_of(job, int(chunks), after + 1), int(chunks)):
            fields = await self._client.hgetall(self._keys.chunk(job, number))
            if b"st" not in fields:
                return
            contents = read_chunk(fields, find_or_none(self._sealer), links_context(job, number))
            records = _records(contents, operation, int(created), int(ended or 0), cancelled=cancelled)
            for stage in after_it:
                guests = await self._client.hgetall(self._keys.stage_guests(stage, number))
                skipped = _NOT_INVITED if operation == INVITE else _NOT_GONE_ON
                _add_stage(records, split_stage(stage)[1], guests, skipped, cancelled=states[stage] == b"cancelled")
            for record in records:
                if record["row"] <= after:
                    continue
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield record

    async def links(self, job: str, places: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
        """Return the redeem links of some rows of a job, by chunk and index, where there are any.
        Raises `SealError` where no key here opens them.
        """
        found: dict[tuple[int, int], str] = {}
        for chunk in sorted({chunk for chunk, _ in places}):
            fields = await self._client.hgetall(self._keys.chunk(job, chunk))
            if b"st" not in fields:
                continue
            sealer, context = self._sealer(), links_context(job, chunk)
            check_links(fields, sealer, context)
            outcomes = read_chunk(fields, sealer, context).outcomes
            found |= {(chunk, i): one.redeem_url for i, one in enumerate(outcomes) if one and one.redeem_url}
        return {place: found[place] for place in places if place in found}

    async def _chunk_of(self, job: str, chunks: int, row: int) -> int:
        """Return the chunk a row is in, by halving: a pilot makes one chunk shorter."""
        low, high = 0, max(0, chunks - 1)
        while low < high and row > 1:
            middle = (low + high + 1) // 2
            if int(await self._client.hget(self._keys.chunk(job, middle), "base") or 0) <= row:
                low = middle
            else:
                high = middle - 1
        return low


def _as_fed_back(row: dict[str, Any], done: set[str], *, resend: bool) -> dict[str, Any]:
    """Return a row as results that are fed back name it: with its stages that are done; and with
    whether its guest is mailed on purpose.
    """
    done = done | {*row.get(STAGES_DONE, ())}
    kept = {name: value for name, value in row.items() if name not in (STAGES_DONE, RESEND)}
    if resend:
        kept[RESEND] = True
    return kept | {f"{name}_status": status_of(RowState.DONE, name) for name in sorted(done)}


def _add_stage(
    records: list[dict[str, Any]], operation: str, guests: Mapping[bytes, bytes], skipped: str, *, cancelled: bool
) -> None:
    """Say of each row how its stage stands, '' where it asks for none. `skipped`: why it was left
    out, where nothing else is said of it.
    """
    letters = guests.get(b"st", b"").decode().ljust(len(records), NOT_ASKED)
    for i, (record, letter) in enumerate(zip(records, letters, strict=True)):
        status = error = ""
        if letter != NOT_ASKED:
            state = RowState(letter)
            is_cancelled = cancelled and state is RowState.PENDING
            status = "cancelled" if is_cancelled else status_of(state, operation)
            error = guests.get(b"m%d" % i, b"").decode() or (skipped if state is RowState.SKIPPED else "")
        record[f"{operation}_status"], record[f"{operation}_error"] = status, error


_NOT_INVITED = "Not done: this guest was not invited."
_NOT_GONE_ON = "Not done: how the row itself ended says why."


def _records(
    contents: ChunkContents, operation: str, created_ms: int, ended_ms: int, *, cancelled: bool
) -> list[dict[str, Any]]:
    """Return the rows of a chunk as results show them. What was refused while its list was read
    ended when the job was made, what was cancelled when the job ended.
    """
    rows: Sequence[dict[str, Any]] = contents.rows
    records = []
    for i, (row, letter) in enumerate(zip(rows, contents.letters, strict=True)):
        outcome = contents.outcomes[i]
        state = RowState(letter)
        is_cancelled = cancelled and state in (RowState.PENDING, RowState.PENDING_SILENT)
        status = "cancelled" if is_cancelled else status_of(state, operation)
        attempts = outcome.attempts if outcome else int(contents.attempts[i]) if contents.attempts else 0
        at_ms = (outcome.at_ms or created_ms) if outcome else ended_ms if is_cancelled else 0
        records.append(
            {
                "row": contents.base + i,
                "email": row.get("email", ""),
                "display_name": row.get("display_name", ""),
                "ref": row.get("ref", ""),
                "status": status,
                "user_id": outcome.user_id if outcome else "",
                "invitation_id": outcome.invitation_id if outcome else "",
                "redeem_url": outcome.redeem_url if outcome else "",
                "mail": outcome.mail if outcome else "",
                "error_code": outcome.code if outcome else "",
                "error_message": outcome.message if outcome else "",
                "request_id": outcome.request_id if outcome else "",
                "attempts": attempts,
                "finished_at": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
                if at_ms
                else "",
                **({"connection": row["connection"]} if "connection" in row else {}),  # of a row that is nobody's
            }
        )
    return records
