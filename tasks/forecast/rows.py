"""A dry run looks what would become of every row of a loaded list, in order, with a few look-ups at
a time; nothing is sent.

The list is in the ledger already, as a job that does not run, so a list of a million rows needs no
more memory than one of a thousand, and the rows that end without being sent (invalid, repeated, of
a domain that the connection does not allow) end as they really would.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from worker.addresses import guest_of
from worker.directory.asking import PatientAsk
from worker.directory.forecast import foresee
from worker.directory.lookups import LookUps, WhyNot
from worker.directory.reader import WAITS_S, Asker, Unread
from worker.directory.rules import ask_tenant_of
from worker.graph.users import DirectoryUser
from worker.ledger.chunk_contents import ChunkContents
from worker.ledger.guests.guest_index import is_overruled
from worker.ledger.model import KnownRow, Options, Outcome, RowState, is_resent
from worker.operations.foreseen import Foreseen, Seen, Would
from worker.operations.operation import Asked, Channel, Look, word_of
from worker.operations.tenant_rules import Gap, TenantRules
from worker.store.client import read_time_ms

if TYPE_CHECKING:
    from worker.services import Services

_AT_ONCE = 4
"""Chunks looked up at the same time: some 120 reads on the wire, a small part of the quota."""
_DOMAINS_AT_ONCE = 8
_MOST_DOMAINS = 5_000  # of one list whose tenants are asked for, where partners are blocked


class StageWould(StrEnum):
    """What would become of a row's stage."""

    DO = "do"
    ALREADY = "already"
    SKIP = "skip"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class StageForeseen:
    """One stage of one row. `why`: of whatever is not done."""

    would: StageWould
    why: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ForeseenRow:
    """One row with its verdict."""

    number: int
    row: dict[str, Any] = field(repr=False)
    foreseen: Foreseen
    waits: bool = True
    """Whether it has no outcome yet."""
    user: DirectoryUser | None = field(default=None, repr=False)
    stages: Mapping[str, StageForeseen] = field(default_factory=dict, repr=False)
    """What would become of the stages that it asks for, where that was looked at (`stages`)."""


@dataclass(slots=True)
class Foresight:
    """Looks at the rows of one loaded job. `gaps`: what could not be looked at, in the end."""

    services: Services
    channel: Channel
    rules: TenantRules
    options: Options
    more: Sequence[str] = ()  # properties of users that are read besides
    not_looked_up: int = 0
    may_not_read: bool = False
    gaps: list[Gap] = field(default_factory=list)
    _look_ups: LookUps = field(init=False)
    _asker: Asker = field(init=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DOMAINS_AT_ONCE))
    _partners: dict[str, asyncio.Task[bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._asker = Asker(self.services, self.channel.connection)
        self._look_ups = LookUps(self.services, self._asker)

    async def rows(self, job: str) -> AsyncIterator[ForeseenRow]:
        """Yield every row of the job, in order. Raises `TokenRefused`, and redis-py's errors."""
        at_work: deque[asyncio.Task[list[ForeseenRow]]] = deque()
        try:
            async for contents in self.services.jobs.rows.chunks(job):
                at_work.append(asyncio.create_task(self._judge(contents)))
                if len(at_work) >= _AT_ONCE:
                    for row in await at_work.popleft():
                        yield row
            while at_work:
                for row in await at_work.popleft():
                    yield row
        finally:
            left = [*at_work, *self._partners.values()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _judge(self, contents: ChunkContents) -> list[ForeseenRow]:
        rows, letters = contents.rows, contents.letters
        addresses = {i: guest_of(rows[i]) for i, letter in enumerate(letters) if letter == "."}
        connection, operation = self.channel.connection, self.channel.operation
        # Where the app may not read, the real run does not look either
        prechecked = operation.look(connection, self.options, suspect=False) is not Look.NO
        known: dict[int, KnownRow] = {}
        remembered = [i for i in addresses if operation.brings(rows[i]) and not is_resent(rows[i], self.options)]
        if remembered and not (operation.repeatable or operation.alone):
            index = await self.services.index.place(connection.tenant_key, {i: rows[i]["email"] for i in remembered})
            known = {row.index: row for row in await self.services.ledger.find_invited(index, remembered)}
        asked = sorted(address for i, address in addresses.items() if prechecked or i not in known)
        looked_at_ms = await read_time_ms(self.services.client)
        users, unknown = await self._look_up(asked)
        if prechecked:
            services, told = self.services, users.keys() | unknown.keys()
            known = {
                i: row
                for i, row in known.items()
                if addresses[i] in told
                or not is_overruled(row, looked_at_ms, services.ledger.settle_s, services.clocks)
            }
        blocked = await self._blocked_domains({address.rpartition("@")[2] for address in asked})
        judged = []
        for i, row in enumerate(rows):
            address = addresses.get(i)
            outcome = contents.outcomes[i]
            if address is None:
                would = Would.SKIP if letters[i] == RowState.SKIPPED.value else Would.REFUSE
                foreseen = Foreseen(would, outcome.code if outcome else "", outcome.message if outcome else "")
            else:
                looked_up = address in users or address not in unknown  # one of two questions may be refused
                seen = Seen(known.get(i), users.get(address), looked_up, address.rpartition("@")[2] in blocked)
                self.not_looked_up += seen.known is None and not seen.looked_up
                foreseen = foresee(operation, row, address, seen, self.rules, self.options, prechecked=prechecked)
            user = users.get(address) if address is not None else None
            judged.append(ForeseenRow(contents.base + i, row, foreseen, address is not None, user))
        return await self._without_already(judged) if operation.compares_purely else judged

    async def _without_already(self, judged: list[ForeseenRow]) -> list[ForeseenRow]:
        """Return the rows; of guests who are as their row says, that nothing is done."""
        connection, operation = self.channel.connection, self.channel.operation
        asked = [
            Asked(index, one.row, one.user)
            for index, one in enumerate(judged)
            if one.user is not None and one.foreseen.would is Would.DO
        ]
        ends = await operation.compare(PatientAsk(self.services, connection, ""), asked, connection, self.options)
        already = Foreseen(Would.SKIP, "already", f"{word_of(RowState.ALREADY, operation).capitalize()}.")
        return [
            replace(one, foreseen=already) if isinstance(ends.get(index), Outcome) else one
            for index, one in enumerate(judged)
        ]

    async def _look_up(self, addresses: Sequence[str]) -> tuple[dict[str, DirectoryUser], dict[str, WhyNot]]:
        """Find users; what was throttled or lost is asked for again, for half a minute at most."""
        users: dict[str, DirectoryUser] = {}
        unknown: dict[str, WhyNot] = {}
        left = list(addresses)
        for wait_s in (*WAITS_S, 0.0):
            if not left or self.may_not_read:
                break
            in_bin = self.channel.operation.looks_in_bin
            found = await self._look_ups.find(self.channel.connection, left, more=self.more, bin_too=in_bin)
            users |= found.users or {}
            self.may_not_read = found.why_not is WhyNot.MAY_NOT and len(left) > 1
            reasons = {address: why for address in left if (why := found.why_not_of(address))}
            unknown |= {address: why for address, why in reasons.items() if why is WhyNot.MAY_NOT}
            left = [address for address, why in reasons.items() if why is WhyNot.LATER]
            if left and wait_s:
                await asyncio.sleep(wait_s)
        return users, unknown | dict.fromkeys(left, WhyNot.LATER)

    async def _blocked_domains(self, domains: set[str]) -> set[str]:
        """Return those whose tenant is kept out by cross-tenant access settings, where any is."""
        if not self.rules.asks_for_partners:
            return set()
        for domain in domains - self._partners.keys():
            if len(self._partners) < _MOST_DOMAINS:
                self._partners[domain] = asyncio.create_task(self._is_blocked(domain))
        return {domain for domain in domains if (task := self._partners.get(domain)) and await task}

    async def _is_blocked(self, domain: str) -> bool:
        async with self._turns:
            if self.gaps:  # found out by whoever asked before
                return False
            tenant_id = await ask_tenant_of(self._asker, domain)
        if isinstance(tenant_id, Unread):  # not found: a domain without a tenant, whom these settings do not concern
            if tenant_id.may_not and not self.gaps:
                what = "Which domains belong to the partners that cross-tenant access settings block"
                self.gaps.append(Gap(what, "CrossTenantInformation.ReadBasic.All"))
            return False
        return self.rules.refuses_tenant(tenant_id)
