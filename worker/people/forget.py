"""A person is forgotten everywhere: in the index of guests, in the rows, outcomes and links of
stored jobs, in the audit trail, and among those whom usher has disabled.

What stays of a row is its number, its outcome and Microsoft's ids, so that the counts of its job
still add up; in the trail too, without the hash of the address. A job that has not ended still
needs its rows, so it stands in the way, and says so before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from worker.addresses import fold_address, spellings
from worker.errors import LedgerBusy, LedgerError
from worker.ledger import packing
from worker.ledger.batches import Ledger
from worker.ledger.chunk_contents import links_context, read_chunk, rows_in, sealed_links
from worker.ledger.erasing import note_erased
from worker.ledger.guests.disabled import Disabled
from worker.ledger.guests.guest_index import GuestIndex
from worker.ledger.job_rows import chunks_of, every_job
from worker.ledger.model import NEW_EMAIL, Outcome, RowState
from worker.ledger.scripts import Scripts
from worker.ledger.stages import is_stage, split_stage, stages_of

if TYPE_CHECKING:
    from worker.services import Services
    from worker.store.seal import Sealer

_TRIES = 20
"""For one chunk: a worker that folds it at the same moment makes one more necessary."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What there was of a person."""

    rows: int = 0  # rows that were theirs, or named them
    jobs: int = 0
    entries: int = 0  # in the index of guests, at most one a tenant
    disabled: int = 0  # tenants in which usher remembered to have disabled them
    audited: int = 0  # rows of the audit trail that held the hash of their address

    @property
    def anything(self) -> bool:
        """Whether there was."""
        return bool(self.rows or self.entries or self.audited or self.disabled)


async def forget_id(services: Services, object_id: str) -> Forgotten:
    """Forget the person whom Microsoft knows by this id: by the addresses that jobs have beside it,
    and the hashes of the audit trail.

    Raises as `forget` does.
    """
    addresses, hashes = await known_by(services, object_id)
    found = [await forget(services.ledger, services.index, email) for email in sorted(addresses)]
    entries, scripts = 0, Scripts(services.client)
    for tenant_key in await _tenants(services.ledger):
        for hash_ in hashes:
            base = services.keys.index(tenant_key)
            entries += await scripts["forget_guest"](keys=[], args=[base, hash_])
    audited = await services.trail.forget(sorted(hashes))
    disabled = await services.disabled.forget(object_id)
    await note_erased(services.client, services.keys)
    jobs = sum(one.jobs for one in found)
    rows, more, known = (sum(getattr(one, name) for one in found) for name in ("rows", "entries", "audited"))
    disabled += sum(one.disabled for one in found)
    return Forgotten(rows, jobs, entries + more, disabled, audited + known)


async def known_by(services: Services, object_id: str) -> tuple[set[str], set[bytes]]:
    """Return the addresses that jobs have beside an object id, and the audit trail's hashes."""
    addresses, hashes = set[str](), set[bytes]()
    client, keys = services.ledger.client, services.keys
    async for job in every_job(client, keys):
        async for _, fields in chunks_of(client, keys, job):
            if b"st" not in fields:
                continue
            contents = read_chunk(fields, None, b"")
            for row, outcome in zip(contents.rows, contents.outcomes, strict=True):
                if outcome is not None and outcome.user_id.lower() == object_id and row.get("email"):
                    addresses.add(fold_address(str(row["email"])))
    async for _, kept in services.trail.rows():
        hashes |= {row.guest for row in kept.rows if row.object_id == object_id and row.guest}
    return addresses, hashes


async def hashes_everywhere(services: Services, email: str) -> list[bytes]:
    """Return the hashes by which index and audit trail of any tenant would know this address."""
    return [hash_ for _, hash_ in await hashes_of(services.ledger, services.index, email)]


async def hashes_of(ledger: Ledger, index: GuestIndex, email: str) -> list[tuple[str, bytes]]:
    """Return (beginning of the index's names, hash), one a tenant."""
    places = [await index.place(tenant_key, {0: email}) for tenant_key in sorted(await _tenants(ledger))]
    # A tenant may be in it by name and by id
    return list(dict.fromkeys((place.base, place.hashes[0]) for place in places))


async def forget(ledger: Ledger, index: GuestIndex, email: str) -> Forgotten:
    """Forget the person of this address, however it is spelled.

    Raises `LedgerBusy` while a job with them has not ended, `SealBroken` and `LedgerError` when
    sealed links cannot be opened. Called again after it was killed half-way, it does the rest.
    """
    who = fold_address(email)
    found = await _find(ledger, who)
    ids = await _ids_in(ledger, found, who)
    rows, scripts = 0, Scripts(ledger.client)
    for job, chunk in found:
        blanked = await _blank(ledger, scripts, job, chunk, who)
        rows += 0 if is_stage(job) else blanked  # a guest's row, whatever followed it
        await _blank_stages(ledger, job, chunk, who)
    entries, hashes = 0, await hashes_of(ledger, index, email)
    known = {hash_ for _, hash_ in hashes}
    ids |= {row.object_id async for _, kept in ledger.trail.rows() for row in kept.rows if row.guest in known}
    for base, hash_ in hashes:
        entries += await scripts["forget_guest"](keys=[], args=[base, hash_])
    audited = await ledger.trail.forget([hash_ for _, hash_ in hashes])
    memory = Disabled(ledger.client, ledger.keys)
    disabled = sum([await memory.forget(object_id) for object_id in sorted(ids - {""})])
    await note_erased(ledger.client, ledger.keys)
    return Forgotten(rows, len({split_stage(job)[0] for job, _ in found}), entries, disabled, audited)


async def _ids_in(ledger: Ledger, chunks: Sequence[tuple[str, int]], who: str) -> set[str]:
    """Return the object ids that rows of a person have beside the address."""
    ids = set[str]()
    for job, number in chunks:
        fields = await ledger.client.hgetall(ledger.keys.chunk(job, number))
        if b"st" not in fields:
            continue
        contents = read_chunk(fields, None, b"")
        for row, outcome in zip(contents.rows, contents.outcomes, strict=True):
            if who in addresses_of(row):
                ids |= {str(row.get("user_id") or ""), outcome.user_id if outcome else ""}
    return ids


async def _find(ledger: Ledger, who: str) -> list[tuple[str, int]]:
    """Return the chunks that name a person. Raises `LedgerBusy`."""
    client, keys, found = ledger.client, ledger.keys, list[tuple[str, int]]()
    async for job in every_job(client, keys, "finished_at"):
        async for number, fields in chunks_of(client, keys, job, "rows", "out"):
            if not any(without_person(row, who) is not row for row in rows_in(fields)):
                continue
            if "finished_at" not in job.fields:
                root, _ = split_stage(job.id)
                raise LedgerBusy(
                    f"Job {root} has this address in its list and has not ended, so nothing was changed: wait for its"
                    f" end, or cancel it (usher jobs cancel {root}), then say it again."
                )
            found.append((job.id, number))
    return found


async def _tenants(ledger: Ledger) -> set[str]:
    """Return the tenants that have an index or rows in the audit trail, those of connections that
    are no longer configured included.
    """
    start = ledger.keys.index("")
    found = {
        raw.decode().removeprefix(start).rsplit(":", 2)[0]
        async for raw in ledger.client.scan_iter(match=f"{start}*", count=1000)
    }
    return found | {raw.decode() for raw in await ledger.client.smembers(ledger.keys.index_tenants())}


async def _blank(ledger: Ledger, scripts: Scripts, job: str, chunk: int, who: str) -> int:
    key, context = ledger.keys.chunk(job, chunk), links_context(job, chunk)
    for _ in range(_TRIES):
        await ledger.fold(job, chunk)
        fields = await ledger.client.hgetall(key)
        rows, changes = _changes(fields, ledger.sealer(), context, who)
        if not rows:
            return 0  # the job was deleted meanwhile
        args = [part for name, new in changes.items() for part in (name, fields[name], new)]
        if await scripts["forget_rows"](keys=[key], args=[fields.get(b"no", b"0"), *args]):
            return rows
    raise LedgerBusy(f"Job {job} is being written to all the time: say it again.")


async def _blank_stages(ledger: Ledger, job: str, chunk: int, who: str) -> None:
    """Take the person out of what a job's stages say: of the reasons why they failed for some
    guest, and of what the rows' names stand for.
    """
    client, keys = ledger.client, ledger.keys
    for stage in stages_of(job, await client.hget(keys.job(job), "stages")):
        guests = await client.hgetall(keys.stage_guests(stage, chunk))
        said = {name: value.decode() for name, value in guests.items() if name[:1] == b"m"}
        if named := [name for name, text in said.items() if _names(text, who)]:
            await client.hdel(keys.stage_guests(stage, chunk), *named)
    targets = await client.hkeys(keys.job_targets(job))
    if named := [name for name in targets if fold_address(name.decode().partition("|")[2]) == who]:
        await client.hdel(keys.job_targets(job), *named)


def _changes(
    fields: Mapping[bytes, bytes], sealer: Sealer | None, context: bytes, who: str
) -> tuple[int, dict[bytes, bytes]]:
    """Return how many rows of a chunk name a person, and each field that changes with its new value
    (empty: it goes). Pure.
    """
    folded = b"out" in fields
    if not folded and b"rows" not in fields:
        return 0, {}
    rows, outcomes = packing.unpack_finished(fields[b"out"]) if folded else (packing.unpack_rows(fields[b"rows"]), [])
    kept = [without_person(row, who) for row in rows]
    named = [i for i, (old, new) in enumerate(zip(rows, kept, strict=True)) if old is not new]
    theirs = {i for i in named if not kept[i]["email"]}
    new: dict[bytes, bytes] = {}
    if folded:
        new[b"out"] = packing.pack_finished(kept, [_silent(o, who) for o in outcomes], whole=True)
    else:
        new[b"rows"] = packing.pack_rows(kept)
        for name in fields:
            if name[:1] == b"o" and name[1:].isdigit():
                new[name] = packing.pack_outcomes(_silent(o, who) for o in packing.unpack_outcomes(fields[name]))
    for name, links in _open_links(fields, sealer, context).items():
        if theirs.isdisjoint(links):
            continue
        packed = packing.pack_links(
            Outcome(i, RowState.DONE, redeem_url=link) for i, link in links.items() if i not in theirs
        )
        new[name] = sealer.seal(packed, context) if packed and sealer else b""
    return len(named), new


def addresses_of(row: Mapping[str, Any]) -> frozenset[str]:
    """Return the folded addresses of a row's guest: the one that they have, and a new one."""
    return frozenset(fold_address(str(row[name])) for name in ("email", NEW_EMAIL) if row.get(name))


def without_person(row: dict[str, Any], who: str) -> dict[str, Any]:
    """Return a row without the person: nothing but an empty address where it is theirs, by the
    address that they have or are given; the same object where it does not name them.
    """
    if who in addresses_of(row):
        return {"email": ""}
    changed: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, str) and fold_address(value) == who:
            changed[name] = None
        elif isinstance(value, list) and (left := [one for one in value if fold_address(str(one)) != who]) != value:
            changed[name] = left or None
    if not changed:
        return row
    return {name: value for name, value in {**row, **changed}.items() if value is not None}


def _silent(outcome: Outcome, who: str) -> Outcome:
    """Return an outcome whose sentence does not name the person."""
    return replace(outcome, message="") if _names(outcome.message, who) else outcome


def _names(text: str, who: str) -> bool:
    """Whether a sentence names the person, in whichever spelling."""
    told = normalize("NFC", text.lower())
    return any(spelling in told for spelling in spellings(who))


def _open_links(fields: Mapping[bytes, bytes], sealer: Sealer | None, context: bytes) -> dict[bytes, dict[int, str]]:
    """Return the links of a chunk by field and row. Raises `SealBroken`, or `LedgerError` where
    there is no key.
    """
    sealed = sealed_links(fields)
    if sealed and sealer is None:
        raise LedgerError(
            "The ledger holds sealed links, one of which may be this person's, and there is no key to open them: set"
            " [ledger].key."
        )
    return {name: packing.unpack_links(sealer.open(value, context)) for name, value in sealed.items() if sealer}
