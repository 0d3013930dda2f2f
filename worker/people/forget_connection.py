"""A connection is forgotten once its customer has left: its jobs, schedules' records, gates and
counts, and whatever is kept by its tenant.

The audit trail stays for as long as it is kept, without the hash of any address, as for a person
who is forgotten. What a tenant's connections share (the index of guests, who was reminded or
disabled, quota, tokens) stays while another configured connection is of the same tenant.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.connections import split_chosen
from config.errors import ConfigError
from worker.channels import NOBODYS, split_channel
from worker.errors import LedgerBusy
from worker.ledger.chunk_contents import rows_in
from worker.ledger.erasing import note_erased
from worker.ledger.job_rows import StoredJob, chunks_of, every_job
from worker.ledger.notices import Notices
from worker.ledger.stages import is_stage, stages_of
from worker.ledger.timetable import Timetable
from worker.people.forget_runs import Mentioned, forget_notices, forget_runs, literal
from worker.signin.tenant_ids import named_like

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

_AT_ONCE = 500
_OF_TENANT = "(?:index|disabled|moving|told-ends|tenant|held-as|token|daily|quota:[a-z-]+)"
"""What the keys begin with, after the prefix, that a tenant's key follows."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger has of a connection before it is forgotten. `among`: schedules added at run
    time that name it among others; `tenants`: the keys that its tenant is known by; `shared`: other
    connections of that tenant.
    """

    name: str
    jobs: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    tenants: frozenset[str] = frozenset()
    shared: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether something tells that there was such a connection, and nobody only says so."""
        return any((self.jobs, self.schedules, self.among, self.channels))


@dataclass(slots=True)
class Gone:
    """What was removed. `kept_of_tenant`: connections for which the tenant's memory stays."""

    jobs: int = 0
    rows: int = 0
    schedules: int = 0
    tenant_keys: int = 0
    gates: int = 0
    counts: int = 0
    notices: int = 0
    audited: int = 0
    kept_of_tenant: tuple[str, ...] = field(default=())

    @property
    def anything(self) -> bool:
        """Whether there was."""
        counts = (self.jobs, self.schedules, self.tenant_keys, self.gates, self.counts, self.notices, self.audited)
        return any(counts)


async def find_held(services: Services, name: str, tenant: str = "") -> Held:
    """Return what there is of a connection, configured or not. `tenant`: its id, where neither the
    configuration nor the ledger knows it any more.

    Raises `LedgerBusy` while a job of it has not ended, or a worker still has a part of one.
    """
    jobs, still = list[str](), list[str]()
    async for job in every_job(services.client, services.keys, "connection", "finished_at"):
        whose = split_channel(job.fields.get("connection", b"").decode())[0]
        is_its = whose == name or (whose == NOBODYS and await _is_named_in(services, job, name))
        if not is_its or is_stage(job.id):
            continue
        (jobs if "finished_at" in job.fields else still).append(job.id)
    if still:
        more = f" and {len(still) - _SHOWN} more" if len(still) > _SHOWN else ""
        raise LedgerBusy(
            f"{'Job' if len(still) == 1 else 'Jobs'} {', '.join(still[:_SHOWN])}{more} of connection {name}"
            f" {'has' if len(still) == 1 else 'have'} not ended, so nothing was changed: wait for the end, or cancel"
            f" first (usher jobs cancel {still[0]}), then say it again."
        )
    await _need_idle(services, name)
    table = await Timetable(services.client, services.keys).all()
    schedules = [one for one, planned in table.items() if planned.schedule.connection == name]
    added = {one: planned.schedule.connection or "" for one, planned in table.items() if planned.origin == "added"}
    among = [one for one, chosen in added.items() if chosen != name and name in split_chosen(chosen)]
    channels = await _channels(services, name)
    tenants = await _tenants(services, name, channels, tenant)
    others = services.settings().connections.values()
    shared = [one.name for one in others if one.name != name and not tenants.isdisjoint(_keys_of(services, one))]
    return Held(name, tuple(jobs), tuple(schedules), tuple(among), tuple(channels), tenants, tuple(sorted(shared)))


async def _is_named_in(services: Services, job: StoredJob, name: str) -> bool:
    """Tell whether a job of nobody's rows has one that names the connection: it goes as a whole."""
    async for _, fields in chunks_of(services.client, services.keys, job, "rows", "out"):
        if any(str(row.get("connection", "")).lower() == name for row in rows_in(fields)):
            return True
    return False


async def was_known(services: Services, name: str) -> bool:
    """Tell whether the audit trail names a connection of which nothing else is left."""
    async for event in services.trail.events():
        if event.facts.get("connection") == name:
            return True
    return False


async def forget_connection(services: Services, held: Held) -> Gone:
    """Remove all that was found. Killed half-way, and called again, it does the rest."""
    gone, keys, client = Gone(), services.keys, services.client
    timetable = Timetable(services.client, keys)
    tables = await _schedules(services, timetable)
    for schedule in held.schedules:
        await timetable.remove(schedule)
        gone.schedules += 1
    of_tenant = () if held.shared else {tenant.rpartition("/")[2] for tenant in held.tenants}
    gone.schedules += await forget_runs(services, Mentioned(held.name, of_tenant, held.jobs), tables)
    for job in held.jobs:
        gone.rows += int(await client.hget(keys.job(job), "rows") or 0)
        stages = stages_of(job, await client.hget(keys.job(job), "stages"))
        gone.jobs += await services.jobs.delete(job)
        for one in (job, *stages):
            await Notices(services.client, keys).forget(one)
            await client.unlink(keys.follow(one), keys.taking(one))
    await services.jobs.submissions.forget_connection(held.name)
    gone.notices = await forget_notices(services, held.name)
    gone.audited = await services.trail.forget_connection(held.name)
    gone.counts = await _forget_counts(services, held.name)
    if held.shared:
        gone.kept_of_tenant = held.shared
    else:
        gone.tenant_keys = await _forget_tenant(services, held.tenants)
    gone.gates = await _forget_channels(services, held)  # last: they know which tenant it was
    await note_erased(services.client, keys)
    return gone


async def _schedules(services: Services, timetable: Timetable) -> dict[str, str]:
    """Return of each schedule, on the timetable or only configured, its connections."""
    known = dict(services.settings().schedules)
    known |= {name: planned.schedule for name, planned in (await timetable.all()).items()}
    return {name: schedule.connection or "" for name, schedule in known.items()}


async def _need_idle(services: Services, name: str) -> None:
    """Raise `LedgerBusy` while a worker has an offer or a lease of the connection."""
    keys = services.keys
    for table in (keys.offers(), keys.leases()):
        async for ticket, _ in services.client.zscan_iter(table, match=f"*:{name}*", count=1000):
            if split_channel(ticket.decode().split(":")[3])[0] == name:
                raise LedgerBusy(
                    f"A worker still has rows of connection {name} in hand, so nothing was changed: say it again in a"
                    " minute."
                )


async def _channels(services: Services, name: str) -> list[str]:
    """Return the channels of a connection of which something is known."""
    client, start = services.client, services.keys.connection("")
    found = {raw.decode() for raw in await client.smembers(services.keys.connections())}
    async for raw in client.scan_iter(match=f"{literal(start + name)}*", count=1000):
        found.add(raw.decode().removeprefix(start).partition(":")[0])
    return sorted(one for one in found if split_channel(one)[0] == name)


async def _tenants(services: Services, name: str, channels: Iterable[str], tenant: str) -> frozenset[str]:
    """Return every key of the connection's tenant: as the configuration has it, as its jobs left it
    behind, as somebody says; by its id and by the domains that it was found by.
    """
    client, keys = services.client, services.keys
    found = {raw.decode() for one in channels if (raw := await client.hget(keys.connection(one), "tenant"))}
    await services.tenants.recall()
    with suppress(ConfigError):  # no longer configured
        found |= _keys_of(services, services.connection(name))
    known = {raw.decode() for raw in await client.smembers(keys.index_tenants())}
    if tenant:
        said = tenant.lower()
        found |= {one for one in known if one.rpartition("/")[2] == said} or {f"global/{said}"}
    return frozenset(found | named_like(found, await client.hgetall(keys.tenant_ids())))


def _keys_of(services: Services, connection: Connection) -> set[str]:
    return {connection.tenant_key, services.tenants.named(connection).tenant_key}


async def _forget_tenant(services: Services, tenants: frozenset[str]) -> int:
    """Remove what is kept by the tenant. Returns how many keys that were."""
    client, keys = services.client, services.keys
    aliases = [raw.decode() for one in tenants if (raw := await client.hget(keys.index_names(), one))]
    removed = 0
    for tenant in {*tenants, *aliases}:
        removed += await _unlink(services, tenant_keys(services, tenant))
        for table in (keys.index_names(), keys.tenant_ids()):
            await client.hdel(table, tenant)
        await client.srem(keys.index_tenants(), tenant)
    return removed


async def tenant_keys(services: Services, tenant: str) -> AsyncIterator[str]:
    """Yield the names of the keys that belong to a tenant's key, and to the clients in it."""
    prefix = services.keys.prefix
    own = re.compile(rf"{re.escape(prefix)}:{_OF_TENANT}:{re.escape(tenant)}(?:[:/].*)?", re.DOTALL)
    async for raw in services.client.scan_iter(match=f"{literal(prefix)}:*{literal(tenant)}*", count=1000):
        if own.fullmatch(raw.decode()):
            yield raw.decode()


async def _forget_counts(services: Services, name: str) -> int:
    """Take the connection out of what workers counted."""
    client, key = services.client, services.keys.meters()
    fields = [
        raw
        async for raw, _ in client.hscan_iter(key, match=f"*|{literal(name)}*", count=1000)
        if split_channel(raw.decode().split("|")[1])[0] == name
    ]
    return int(await client.hdel(key, *fields)) if fields else 0


async def _forget_channels(services: Services, held: Held) -> int:
    """Remove the connection's gates, counts and notes, and its channels from all tables."""
    client, keys, removed = services.client, services.keys, 0
    for channel in {*held.channels, held.name}:
        for table in (keys.due(), keys.due_now(), keys.due_doubts()):
            await client.zrem(table, channel)
        for table in (keys.seats_of(), keys.offered_of()):
            await client.hdel(table, channel)
        await client.srem(keys.connections(), channel)
        removed += await client.unlink(
            *(keys.last_seen(channel), keys.rotation(channel), keys.rotation_now(channel), keys.doubts(channel)),
            keys.connection(channel),
        )
    return removed


async def _unlink(services: Services, names: AsyncIterator[str]) -> int:
    part, removed = [], 0
    async for name in names:
        part.append(name)
        if len(part) == _AT_ONCE:
            removed += await services.client.unlink(*part)
            part = []
    return removed + (await services.client.unlink(*part) if part else 0)
