"""A channel's gate is open, closed until a time, or held for a reason. Trouble with a connection is
not trouble with a row.

A hold says what happened and who must do what. Some end by themselves: a credential's when a token
is had, one of Graph's own half-open, with a single real row on a growing interval; a check that
disproves one of these ends it at once (`tasks/checks/connection.py`). After a hold, and before its
first batches, a connection is on probation: one batch on the wire until five went clean
(`begin_batch.lua`), so that whatever is wrong costs one batch of refused requests. An operator's
and an abuse block end only by `usher connections reopen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from redis.asyncio import Redis

from worker.channels import split_channel
from worker.ledger.audit.trail import Trail
from worker.ledger.keys import Keys
from worker.ledger.scripts import InLedger
from worker.store.client import read_time_ms


class HoldReason(StrEnum):
    """The reasons for which a gate is held."""

    CREDENTIAL = "credential"
    PERMISSION = "permission"
    TENANT = "tenant"
    DIRECTORY_FULL = "directory_full"
    DAILY_LIMIT = "daily_limit"
    ABUSE = "abuse"
    OPERATOR = "operator"
    RESTORED = "restored"  # a backup was, and its rows cannot be verified (`verifier.py`)
    KEY = "key"  # no worker can open what the ledger's key has sealed (`programs/key_hold.py`)


ENDS_BY_ITSELF = frozenset(HoldReason) - {HoldReason.ABUSE, HoldReason.OPERATOR, HoldReason.RESTORED}
"""Holds that end once their cause is gone. The others wait for a person."""

WHOLE = frozenset({HoldReason.CREDENTIAL, HoldReason.ABUSE, HoldReason.OPERATOR, HoldReason.RESTORED, HoldReason.KEY})
"""Holds of a connection that hold all its channels, whatever is done there; the others are one
channel's own (`_common.lua`).
"""

FIRST_TRY_S = {
    HoldReason.CREDENTIAL: 5.0,
    HoldReason.PERMISSION: 15.0,
    HoldReason.TENANT: 15.0,
    HoldReason.DIRECTORY_FULL: 60.0,
}
"""Seconds until the first try after a hold; it doubles each time, up to 15 minutes (`hold.lua`,
`begin_batch.lua`).
"""


_PAGE = 500
_TROUBLE_SHOWN_S = 10.0  # beyond the next try, which takes its time too; a worker that has gone leaves nothing for long


class Held(IntEnum):
    """The answers to a wish to hold a connection (the numbers are those of `hold.lua`)."""

    NEWS = 1  # it was open, or held for something else
    ALREADY = 0
    BY_MORE = -1  # for something graver
    OTHER_WORKS = -2  # not held: this credential was refused, but another one of the connection was good a moment ago


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as it is shown."""

    held: bool = False
    kind: HoldReason | None = None
    why: str = ""
    since: datetime | None = None
    try_at: datetime | None = None
    closed_until: datetime | None = None
    closed_why: str = ""
    trouble: str = ""
    """Why a worker gets nowhere though the gate is open: Entra or Graph cannot be reached. Nothing
    is decided by it.
    """

    @property
    def ends_by_itself(self) -> bool:
        """Whether waiting may be enough."""
        return self.kind in ENDS_BY_ITSELF


class Gates(InLedger):
    """The gates in the ledger."""

    def __init__(self, client: Redis, keys: Keys, trail: Trail | None = None) -> None:
        super().__init__(client, keys)
        self._trail = trail or Trail(client, keys, keep_s=0)

    async def hold(
        self,
        connection: str,
        kind: HoldReason,
        why: str,
        *,
        fingerprint: str = "",
        try_s: float | None = None,
        tenant_key: str = "",
    ) -> Held:
        """Hold a connection. `fingerprint`: of the credential that was refused, where one was;
        `tenant_key`: of an operator's hold, which goes on to another name of the tenant.
        """
        if tenant_key:
            await self._client.sadd(self._keys.held_as(tenant_key), connection)
        wait_s = FIRST_TRY_S.get(kind, 0.0) if try_s is None else try_s
        reply = await self._scripts["hold"](
            keys=[self._keys.connection(connection)], args=[kind.value, why, fingerprint, round(wait_s * 1000)]
        )
        held = Held(reply)
        if held is Held.NEWS:
            await self._trail.note("connection.held", connection=connection, kind=kind.value, why=why)
        return held

    async def hold_at_first_use(self, channel: str, tenant_key: str) -> None:
        """Hold a connection that never had a job for this tenant, where an operator holds another
        one of the tenant that is in the configuration no longer: its line was given another name.
        """
        name = split_channel(channel)[0]
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hget(self._keys.connection(name), "tenant")
            pipe.hget(self._keys.connection(channel), "tenant")
            pipe.smembers(self._keys.held_as(tenant_key))
            *tenants, names = await pipe.execute()
        if not tenant_key or tenant_key.encode() in tenants:
            return
        others = sorted(other for raw in names if (other := raw.decode()) != name)
        gates = await self._page([other for other in others if self._trail.tenant_key_of(other) != tenant_key])
        for other, gate in gates.items():
            if gate.kind is HoldReason.OPERATOR:
                of_it = gate.why.replace(f"reopen {other}`", f"reopen {name}`")
                why = f"It is of the same tenant as {other}, which is held and in the configuration no longer. {of_it}"
                await self.hold(name, HoldReason.OPERATOR, why, tenant_key=tenant_key)
                return

    async def held_names(self, tenant_key: str) -> set[str]:
        """Return the connections of a tenant that an operator held, some of them reopened since."""
        return {raw.decode() for raw in await self._client.smembers(self._keys.held_as(tenant_key))}

    async def hold_everything(self, why: str, kind: HoldReason = HoldReason.OPERATOR) -> None:
        """Hold every connection, known or not, until `reopen_everything`. For want of a key: unless
        another hold is there.
        """
        if await self._scripts["hold_all"](keys=[self._keys.hold_all()], args=[why, kind.value]):
            await self._trail.note("everything.held", why=why)

    async def reopen_everything(self, kind: HoldReason | None = None) -> bool:
        """End `hold_everything` (only one for `kind`, where given); each connection's own hold
        stays. True when there was one.
        """
        was_held = await self._scripts["reopen_all"](keys=[self._keys.hold_all()], args=[kind.value if kind else ""])
        if was_held:
            await self._trail.note("everything.reopened")
        if was_held or kind is None:
            for raw in await self._client.smembers(self._keys.connections()):
                await self._make_due(raw.decode())
            await self._end_restore()
        return bool(was_held)

    async def hold_job(self, job: str, connection: str, why: str) -> None:
        """Hold one job with its stages, whatever its connection's gate says, until somebody resumes
        or cancels it.
        """
        if await self._scripts["hold_job"](keys=[self._keys.job(job)], args=[self._keys.prefix, job, why]):
            await self._trail.note("job.held", by="usher", job=job, connection=connection, why=why)

    async def block_tenant(self, tenant_key: str, why: str) -> None:
        """Let no connection of a tenant send until a person reopens one: Microsoft blocks it."""
        fields = {"why": why, "since": await read_time_ms(self._client)}
        if await self._client.hset(self._keys.tenant(tenant_key), mapping=fields):
            await self._trail.note("tenant.blocked", tenant=tenant_key, why=why)

    async def reopen(self, connection: str, kind: HoldReason | None = None, tenant_key: str | None = None) -> bool:
        """Open a gate (only if held for `kind`, where given). With a tenant key its abuse block is
        lifted too.
        """
        if tenant_key and await self._client.delete(self._keys.tenant(tenant_key)):
            await self._trail.note("tenant.reopened", tenant=tenant_key, connection=connection)
        was_held = await self._reopen(connection, kind.value if kind else "")
        for raw in await self._client.smembers(self._keys.connections()):
            channel = raw.decode()
            if channel != connection and split_channel(channel)[0] == connection:
                was_held |= await self._reopen(channel, kind.value if kind else "")
        if kind in (None, HoldReason.RESTORED):
            await self._end_restore()
        return was_held

    async def reopen_after_try(self, connection: str) -> bool:
        """Open the gate, unless only a person may: a real row went through. True if it was held."""
        return await self._reopen(connection, "tried")

    async def _reopen(self, connection: str, what: str) -> bool:
        k = self._keys
        reply = await self._scripts["reopen"](
            keys=[k.connection(connection), k.due(), k.due_now(), k.rotation(connection), k.rotation_now(connection)],
            args=[connection, what],
        )
        if reply:
            after = "a row went through" if what == "tried" else what and f"the cause is gone: {what}"
            await self._trail.note("connection.reopened", connection=connection, why=after)
        return bool(reply)

    async def of(self, connection: str) -> Gate:
        """Return a connection's gate as it stands; a hold on everything shows on each."""
        return (await self.of_many([connection]))[connection]

    async def of_many(self, names: Sequence[str]) -> dict[str, Gate]:
        """Return the gates of many, read in pages."""
        everything = await self._client.hgetall(self._keys.hold_all())
        if everything:
            why, since = everything[b"why"].decode(), _instant(everything.get(b"since"))
            return dict.fromkeys(names, Gate(True, _kind_of_all(everything), why, since))
        gates: dict[str, Gate] = {}
        for start in range(0, len(names), _PAGE):
            gates |= await self._page(names[start : start + _PAGE])
        return gates

    async def _page(self, names: Sequence[str]) -> dict[str, Gate]:
        wanted = list(dict.fromkeys(part for name in names for part in (name, split_channel(name)[0])))
        async with self._client.pipeline(transaction=False) as pipe:
            for name in wanted:
                pipe.hgetall(self._keys.connection(name))
            found: dict[str, dict[bytes, bytes]] = dict(zip(wanted, await pipe.execute(), strict=True))
        fields = {name: _in_force(found[name], found[split_channel(name)[0]]) for name in names}
        times = any(b"closed_until" in one or b"away_until" in one for one in fields.values())
        now = datetime.fromtimestamp(await read_time_ms(self._client) / 1000, UTC) if times else None
        return {name: _read_gate(one, now) for name, one in fields.items()}

    async def note_trouble(self, connection: str, why: str, wait_s: float) -> None:
        """Let whoever waits know why: this worker got nowhere, and tries again after a while."""
        until = await read_time_ms(self._client) + round((wait_s + _TROUBLE_SHOWN_S) * 1000)
        await self._client.hset(self._keys.connection(connection), mapping={"away_why": why, "away_until": until})

    async def forget_trouble(self, connection: str) -> None:
        """It works again."""
        await self._client.hdel(self._keys.connection(connection), "away_why", "away_until")

    async def fingerprint(self, connection: str) -> str:
        """Return the fingerprint of the credential that was refused, '' if none."""
        raw = await self._client.hget(self._keys.connection(connection), "fingerprint")
        return (raw or b"").decode()

    async def _end_restore(self) -> None:
        """Once nothing is held for it any more, a restore is over: who is found in the directory
        later was not invited in its lost time.
        """
        if await self._client.exists(self._keys.hold_all()):
            return
        for raw in await self._client.smembers(self._keys.connections()):
            gate, kind = await self._client.hmget(self._keys.connection(raw.decode()), "gate", "kind")
            if gate == b"held" and kind == HoldReason.RESTORED.value.encode():
                return
        await self._client.hdel(self._keys.epoch(), "restored_from")

    async def _make_due(self, connection: str) -> None:
        now = await read_time_ms(self._client)
        for rotation, due in (
            (self._keys.rotation(connection), self._keys.due()),
            (self._keys.rotation_now(connection), self._keys.due_now()),
        ):
            if await self._client.exists(rotation):
                await self._client.zadd(due, {connection: now})


def _in_force(own: dict[bytes, bytes], above: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what is known of a gate: its own, or what holds its connection as a whole. Pure."""
    if own.get(b"gate") == b"held" or above.get(b"gate") != b"held":
        return own
    return above if HoldReason(above[b"kind"].decode()) in WHOLE else own


def _read_gate(fields: dict[bytes, bytes], present: datetime | None) -> Gate:
    """Read a gate. Pure."""
    until, away = _instant(fields.get(b"closed_until")), _instant(fields.get(b"away_until"))
    if until and present and until <= present:
        until = None
    if fields.get(b"gate") == b"held":
        return Gate(
            True,
            HoldReason(fields[b"kind"].decode()),
            fields.get(b"why", b"").decode(),
            _instant(fields.get(b"since")),
            _instant(fields.get(b"probe_at")),
            until,
            fields.get(b"closed_why", b"").decode(),
        )
    return Gate(
        closed_until=until,
        closed_why=fields.get(b"closed_why", b"").decode() if until else "",
        trouble=fields.get(b"away_why", b"").decode() if away and present and away > present else "",
    )


def _kind_of_all(fields: dict[bytes, bytes]) -> HoldReason:
    """Why everything is held; for a restore as by an operator: only a person ends it."""
    return HoldReason.KEY if fields.get(b"kind") == HoldReason.KEY.value.encode() else HoldReason.OPERATOR


def _instant(ms: bytes | None) -> datetime | None:
    return datetime.fromtimestamp(int(ms) / 1000, UTC) if ms else None
