"""The audit trail says who did what, when, to which of Microsoft's objects. It outlives the jobs
that it tells of, and names nobody.

Two things are kept, by generations of 30 days, each of which Redis removes `[ledger].audit_keep`
after its end:

- *events*, a stream: a job was submitted, approved, paused, deleted; a connection was held or
  reopened; a person was forgotten;
- *rows*, a hash of one small blob a chunk (`rows.py`), written by the same script that folds a
  finished chunk, so it costs no command and is there exactly once; a chunk that a job leaves
  unfinished is written when the job ends or is deleted.

Entries are only ever added. The one change there is: forgetting a person takes the hash of their
address out of the rows, and forgetting a connection that of everybody in its rows.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError

from worker.channels import describe_operation
from worker.errors import SealError
from worker.ledger.audit import row_entries
from worker.ledger.audit.account import present_actor
from worker.ledger.audit.floods import Floods
from worker.ledger.audit.row_entries import AuditRows
from worker.ledger.chunk_contents import read_chunk
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.keys import Keys
from worker.ledger.model import IndexPlace, Lane, Outcome, RowState
from worker.ledger.scripts import Scripts

if TYPE_CHECKING:
    from worker.ledger.audit.log import AuditLog

log = logging.getLogger(__name__)

KINDS = (
    *("job.submitted", "job.approved", "job.paused", "job.resumed", "job.cancelled", "job.held", "job.ended"),
    "job.deleted",
    *("connection.held", "connection.reopened", "connection.forgotten", "everything.held", "everything.reopened"),
    *("tenant.blocked", "tenant.reopened"),
    *("schedule.added", "schedule.removed", "schedule.enabled", "schedule.disabled"),
    "guest.forgotten",
    *("console.signed_in", "console.signed_out", "producer.refused", "producer.looked", "producer.waived"),
    "row",
)
"""Everything that an entry's `what` may be; `docs/audit.md` says when each is written."""

_PAGE = 500
_STAFF = ("by", "submitted_by", "planned_by")  # the last: of plans, in entries of earlier versions
"""Facts that name who works with usher: an account at a host looks like an address."""
_ADDRESS = re.compile(r"[^\s@,;<>\"']+@[^\s@,;<>\"']+")


@dataclass(frozen=True, slots=True)
class Event:
    """An event is something that somebody did. `facts` are plain values, no address among them."""

    at: datetime
    what: str
    by: str
    facts: Mapping[str, Any]


class Trail:
    """The trail is written and read here. `keep_s` 0: nothing is written. `actor`: whoever this
    process works for.

    Without an `index` (its key cannot be had here) rows are kept without the hash of their address.
    `tenant_key_of`: a channel's; '' where its connection is not configured here.
    """

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        keep_s: float,
        actor: str = "",
        index: GuestIndex | None = None,
        tenant_key_of: Callable[[str], str] = lambda name: "",
        copy: AuditLog | None = None,
    ) -> None:
        self._client: Any = client
        self._keys = keys
        self.keep_ms = round(keep_s * 1000)
        self._actor = actor
        self._index = index
        self.tenant_key_of = tenant_key_of
        self._copy = copy
        self._scripts = Scripts(client)
        self.floods = Floods()

    # Events

    async def note(self, what: str, **facts: Any) -> None:
        """Add an event; facts that are empty are left out. What it tells of has happened already,
        so a full Redis is only logged.
        """
        if not self.keep_ms:
            return
        known = {name: value for name, value in facts.items() if value not in ("", None)}
        nameless = {name: value if name in _STAFF else _nameless(value) for name, value in known.items()}
        told = {"what": what, "by": present_actor() or self._actor, **nameless}
        line = orjson.dumps(told)
        try:
            at_ms = await self._scripts["audit_note"](keys=[], args=[self._keys.prefix, self.keep_ms, line])
        except (OutOfMemoryError, NoPermissionError) as error:
            log.warning("the audit trail has no entry for %s: %s", what, error)
            return
        if self._copy is not None:
            self._copy.write({"at": _iso(int(at_ms)), **told})

    # Rows

    def pack(
        self, connection: str, base: int, lane: Lane, outcomes: Sequence[Outcome | None], index: IndexPlace | None
    ) -> bytes:
        """Return what is to be kept of a finished chunk; empty where nothing is."""
        if not self.keep_ms:
            return b""
        return row_entries.pack(connection, base, outcomes, index.hashes if index else {}, single=lane is Lane.NOW)

    async def place(self, connection: str, rows: Sequence[Mapping[str, Any]]) -> IndexPlace | None:
        """Return the hashes of a chunk's addresses; None where they cannot be told here."""
        tenant_key = self.tenant_key_of(connection) if self.keep_ms and self._index is not None else ""
        if not tenant_key or self._index is None:
            return None
        emails = {i: str(row["email"]) for i, row in enumerate(rows) if row.get("email")}
        try:
            return await self._index.place(tenant_key, emails)
        except SealError:
            return None  # the index's key does not open here

    async def keep_unfinished(self, job: str, chunks: int) -> None:
        """Keep what was done in the chunks of a job that is over, or about to be, and were not
        folded. Again does no harm.
        """
        if not self.keep_ms or not chunks:
            return
        connection, lane = await self._client.hmget(self._keys.job(job), "connection", "lane")
        if connection is None:
            return
        for start in range(0, chunks, _PAGE):
            numbers = range(start, min(chunks, start + _PAGE))
            async with self._client.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.hexists(self._keys.chunk(job, number), "rows")
                unfolded = await pipe.execute()
            for number, is_unfolded in zip(numbers, unfolded, strict=True):
                fields = await self._client.hgetall(self._keys.chunk(job, number)) if is_unfolded else {}
                if b"st" not in fields or b"rows" not in fields:
                    continue
                contents = read_chunk(fields, None, b"")
                outcomes = [
                    outcome or _unknown(i, letter)
                    for i, (outcome, letter) in enumerate(zip(contents.outcomes, contents.letters, strict=True))
                ]
                index = await self.place(connection.decode(), contents.rows)
                blob = self.pack(connection.decode(), contents.base, Lane(lane.decode()), outcomes, index)
                if blob:
                    await self._keep(job, number, blob)

    async def _keep(self, job: str, chunk: int, blob: bytes) -> None:
        try:
            await self._scripts["audit_rows"](keys=[], args=[self._keys.prefix, f"{job}:{chunk}", blob, self.keep_ms])
        except OutOfMemoryError as error:
            log.warning("the audit trail has no entry for rows of job %s: %s", job, error)
            return
        self.tell_rows(job, blob)

    def tell_rows(self, job: str, blob: bytes) -> None:
        """Write what was just kept of a chunk to the audit log, where there is one."""
        if self._copy is not None and blob:
            for told in row_lines(job, row_entries.unpack(blob)):
                self._copy.write(told)

    # Reading

    async def generations(self) -> list[int]:
        """Return the generations there are, oldest first."""
        start = self._keys.audit_events(0).removesuffix("0:events")
        found = set()
        async for raw in self._client.scan_iter(match=f"{start}*", count=1000):
            number = raw.decode().removeprefix(start).partition(":")[0]
            if number.isdigit():
                found.add(int(number))
        return sorted(found)

    async def events(self, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Event]:
        """Yield events in the order in which they happened."""
        for generation in await self.generations():
            start, end = _ms(since) if since else "-", _ms(until) if until else "+"
            while True:
                page = await self._client.xrange(self._keys.audit_events(generation), start, end, count=_PAGE)
                for entry_id, fields in page:
                    told = orjson.loads(fields[b"e"])
                    at = _instant(int(entry_id.partition(b"-")[0]))
                    yield Event(at, told.pop("what"), told.pop("by", ""), told)
                if len(page) < _PAGE:
                    break
                start = b"(" + page[-1][0]

    async def rows(self, job: str = "") -> AsyncIterator[tuple[str, AuditRows]]:
        """Yield what is kept of rows, chunk by chunk in no order: the job's id, and its rows.
        `job`: only of this one.
        """
        for generation in await self.generations():
            key = self._keys.audit_rows(generation)
            async for field, blob in self._client.hscan_iter(key, match=f"{job}:*" if job else None, count=200):
                yield field.decode().partition(":")[0], row_entries.unpack(blob)

    # Forgetting

    async def forget(self, guests: Sequence[bytes]) -> int:
        """Take some hashes out of the rows. Returns how many rows had them."""
        return await self._rewrite(lambda blob: row_entries.without(blob, guests))

    async def forget_connection(self, connection: str) -> int:
        """Take each hash of an address out of a connection's rows. Returns how many had one."""
        return await self._rewrite(lambda blob: row_entries.without_anybody(blob, connection))

    async def _rewrite(self, change: Callable[[bytes], tuple[bytes, int]]) -> int:
        changed = 0
        for generation in await self.generations():
            key = self._keys.audit_rows(generation)
            async for field, blob in self._client.hscan_iter(key, count=200):
                kept, count = change(blob)
                if count:
                    await self._scripts["forget_rows"](keys=[key], args=[b"0", field, blob, kept])
                    changed += count
        return changed


def event_line(event: Event) -> dict[str, Any]:
    """Return an event as it is exported."""
    return {"at": _iso(_ms(event.at)), "what": event.what, "by": event.by, **event.facts}


def row_lines(job: str, rows: AuditRows) -> list[dict[str, Any]]:
    """Return the rows of one chunk as they are exported."""
    lines = []
    for row in rows.rows:
        told: dict[str, Any] = {"at": _iso(row.at_ms), "what": "row", "job": job, "connection": rows.connection}
        told |= describe_operation(rows.operation)
        told |= {"row": row.row, "outcome": row.outcome, "object_id": row.object_id, "request_id": row.request_id}
        lines.append({**told, "code": row.code, "guest": row.guest.hex()})
    return lines


def _nameless(value: Any) -> Any:
    """Return a fact without addresses: people write them into reasons and names of files."""
    if isinstance(value, str):
        return _ADDRESS.sub("…@…", value)
    if isinstance(value, Mapping):
        return {name: _nameless(item) for name, item in value.items()}
    return [_nameless(item) for item in value] if isinstance(value, list | tuple) else value


def _unknown(index: int, letter: str) -> Outcome | None:
    """A row on the wire, or in doubt, of a job that is deleted: it may have been invited, and
    nobody will find out.
    """
    state = RowState(letter)
    if state in (RowState.SENDING, RowState.IN_DOUBT):
        return Outcome(index, RowState.LEFT_IN_DOUBT, code="job_deleted", attempts=1)
    return None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _iso(ms: int) -> str:
    return _instant(ms).isoformat(timespec="milliseconds")
