"""A person, by address or by Microsoft's object id, is found in rows of jobs, the index of guests,
the audit trail and among those whom usher has disabled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.addresses import fold_address
from worker.channels import split_channel
from worker.ledger.audit.trail import row_lines
from worker.ledger.chunk_contents import ChunkContents, links_context, read_chunk
from worker.ledger.job_rows import chunks_of, every_job
from worker.ledger.model import RowState, status_of
from worker.ledger.scripts import Scripts
from worker.ledger.stages import is_stage, split_stage
from worker.people.forget import addresses_of, hashes_of, known_by, without_person
from worker.services import Services

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class PersonalData:
    """What there is, each a plain object for a file."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # theirs, as submitted and as they ended
    mentions: list[dict[str, Any]] = field(default_factory=list)  # rows of others that name them (cc, sponsors, groups)
    index: list[dict[str, Any]] = field(default_factory=list)  # by tenant: when invited last, and by which job
    audit: list[dict[str, Any]] = field(default_factory=list)
    disabled: list[dict[str, Any]] = field(default_factory=list)  # by tenant: since when, by usher

    @property
    def anything(self) -> bool:
        """Whether there is."""
        return bool(self.rows or self.mentions or self.index or self.audit or self.disabled)


async def find_all(services: Services, *, email: str = "", object_id: str = "") -> PersonalData:
    """Find everything about a person, given one of the two. Changes nothing."""
    found = PersonalData()
    addresses, hashes = {fold_address(email)} if email else set[str](), set[bytes]()
    if object_id:
        addresses, hashes = await known_by(services, object_id)
    for address in addresses:
        for base, hash_ in await hashes_of(services.ledger, services.index, address):
            hashes.add(hash_)
            found.index += await _in_index(services, base, hash_)
    if addresses:
        await _in_jobs(services, addresses, found)
    async for job, kept in services.trail.rows():
        if any(row.guest in hashes or (object_id and row.object_id == object_id) for row in kept.rows):
            lines = row_lines(job, kept)
            found.audit += [
                line
                for line, row in zip(lines, kept.rows, strict=True)
                if row.guest in hashes or (object_id and row.object_id == object_id)
            ]
    ids = {row["user_id"] for row in found.rows if row.get("user_id")} | {line["object_id"] for line in found.audit}
    for one in sorted((ids | {object_id}) - {""}):
        found.disabled += [
            {"tenant": tenant_key, "user_id": one, "since": at.isoformat(timespec="seconds")}
            async for tenant_key, at in services.disabled.find(one)
        ]
    return found


async def _in_jobs(services: Services, addresses: set[str], found: PersonalData) -> None:
    client, keys = services.ledger.client, services.keys
    async for job in every_job(client, keys, "connection"):
        connection, operation = split_channel(job.fields.get("connection", b"").decode())
        async for number, fields in chunks_of(client, keys, job):
            if b"st" not in fields:
                continue
            contents = read_chunk(fields, services.sealer(), links_context(job.id, number))
            for i, row in enumerate(contents.rows):
                if not addresses.isdisjoint(addresses_of(row)):
                    place = {"connection": connection, **_place(job.id, row, contents.base + i)}
                    found.rows.append({**place, **_row(contents, i, operation)})
                elif named := _named_in(row, addresses):
                    found.mentions.append({**_place(job.id, row, contents.base + i), "named_in": named})


def _place(job: str, row: dict[str, Any], number: int) -> dict[str, Any]:
    """Return where a row stands: of what a stage did, the job and the row that it was done for."""
    if not is_stage(job):
        return {"job": job, "row": number}
    root, stage = split_stage(job)
    return {"job": root, "row": row.get("row", number), "stage": stage}


def _named_in(row: dict[str, Any], addresses: set[str]) -> list[str]:
    """Return the columns of another guest's row that name a person."""
    left = [without_person(row, who) for who in addresses]
    return sorted({name for kept in left for name in row if kept.get(name) != row[name]})


def _row(contents: ChunkContents, i: int, operation: str) -> dict[str, Any]:
    """Return a row as it was submitted, and how it ended."""
    told: dict[str, Any] = {
        "submitted": contents.rows[i],
        "status": status_of(RowState(contents.letters[i]), operation),
    }
    outcome = contents.outcomes[i]
    if outcome is None:
        return told
    facts = asdict(outcome)
    for name in ("index", "letter", "wait_s", "attempted_at_ms"):
        del facts[name]
    at_ms = facts.pop("at_ms")
    if at_ms:
        facts["finished_at"] = (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    return told | {name: value for name, value in facts.items() if value not in ("", 0)}


async def _in_index(services: Services, base: str, hash_: bytes) -> list[dict[str, Any]]:
    entry, claim = await Scripts(services.client)["find_guest"](keys=[], args=[base, hash_])
    if not entry and not claim:
        return []
    told: dict[str, Any] = {"tenant": base.removeprefix(services.keys.index(""))}
    if entry:
        at_s, _, job = entry.decode().partition(":")
        told |= {"invited_on": f"{_EPOCH + timedelta(seconds=int(at_s)):%Y-%m-%d}", "job": job}
    if claim:
        told["on_the_wire"] = claim.decode().rpartition(":")[0]
    return [told]
