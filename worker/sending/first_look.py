"""The directory is asked, before a chunk's first send, who is there: some rows need not be done, of
others nobody can tell yet.

Of whom nobody can tell for now, nobody is sent: those rows are set aside, or, where that is all of
them, the chunk stops. Where the app may not look, Graph itself says who is there, one row at a
time, if the operation can do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from worker.addresses import guest_of
from worker.directory.lookups import Found, LookUps, WhyNot
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.guests.guest_index import is_overruled
from worker.ledger.model import RESEND, IndexPlace, Lease, Outcome, RowState
from worker.ledger.stages import is_stage
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Asked, Attempt, Channel, Look
from worker.sending.not_shown import TOGETHER_S, age_s, wait_or_end
from worker.sending.reactions import Reactions

if TYPE_CHECKING:
    from worker.graph.users import DirectoryUser
    from worker.services import Services

FRESH_S = 600.0
"""A chunk looked up within this time is not looked up again when it comes back from waiting for
tokens.
"""


@dataclass(slots=True)
class Looked:
    """A look comes to rows that end, users that were found, rows to be set aside, or why the chunk
    stops.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    users: dict[int, DirectoryUser] = field(default_factory=dict)
    aside: dict[int, Stop] = field(default_factory=dict)
    unsure: frozenset[int] = frozenset()  # rows of which an earlier try may have been carried out
    stop: Stop | None = None


class FirstLook:
    """A first look is one leased chunk's."""

    def __init__(
        self, services: Services, lease: Lease, channel: Channel, *, reactions: Reactions, look_ups: LookUps
    ) -> None:
        self._services = services
        self._lease = lease
        self._channel = channel
        self._reactions = reactions
        self._look_ups = look_ups

    async def look(self, index: IndexPlace | None) -> Looked:
        """Look the chunk up, where that is wanted. `index`: where its guests stand in the index of
        guests.
        """
        lease, channel, services = self._lease, self._channel, self._services
        wanted = channel.operation.look(channel.connection, lease.options, suspect=lease.suspect)
        if wanted is Look.NO:
            return Looked()
        now_ms = services.clocks.redis_ms()
        is_fresh = abs(now_ms - lease.checked_at_ms) < FRESH_S * 1000  # far ahead: from before the clock was put back
        # Who is mailed on purpose is not looked up for it
        addresses = {i: guest_of(row) for i in lease.pending() if not (row := lease.rows[i]).get(RESEND)}
        if (wanted is Look.WHERE_ALLOWED and is_fresh) or not addresses:
            return Looked()
        epoch = services.ledger.heartbeat.epoch
        more = channel.operation.reads
        waiting = self._known_unshown(addresses, now_ms)
        if waiting and (channel.operation.rows_a_call > 1 or len(waiting) == len(addresses)):
            return Looked(aside={i: waiting.get(i) or min(waiting.values(), key=_wait_of) for i in addresses})
        asked_for = sorted({guest for i, guest in addresses.items() if i not in waiting})
        in_bin = channel.operation.looks_in_bin
        found = await self._look_ups.find(channel.connection, asked_for, lease.ticket.lane, more, bin_too=in_bin)
        if found.users is None:
            if found.delay:
                return Looked(stop=await self._reactions.cannot_look(channel, found))
            return Looked(stop=await self._reactions.hold(channel, _MAY_NOT_LOOK) if wanted is Look.MUST else None)
        users = {i: user for i, address in addresses.items() if (user := found.users.get(address))}
        looked = Looked(await self._judge_known(addresses, users, found, now_ms, index), users)
        ended = {outcome.index for outcome in looked.outcomes}
        others = {i: address for i, address in addresses.items() if i not in ended} if ended else addresses
        if self._waits_for_guests:
            looked.aside |= waiting
            others = {i: guest for i, guest in others.items() if i not in waiting}
            others = self._await_unshown(looked, others, found, now_ms)
        first = await self._first_attempts(now_ms)
        looked.unsure = frozenset(first)
        looked.outcomes += self._judge_seen(others, users, found, now_ms, first)
        if channel.operation.guarded:  # whom nobody can look up may be one whom to spare, and waiting tells no more
            unseen = {i: guest for i, guest in others.items() if i not in users}
            refused = (i for i, guest in unseen.items() if found.why_not_of(guest) is WhyNot.MAY_NOT)
            looked.outcomes += [_end_unknown(i, now_ms) for i in refused]
        if found.delay:
            stop = await self._reactions.cannot_look(channel, found)
            unknown = (i for i, address in addresses.items() if found.why_not_of(address) is WhyNot.LATER)
            looked.aside |= dict.fromkeys(unknown, stop)
        else:
            lease.checked_in = epoch
            await self._reactions.looked(channel.name)
        return looked

    @property
    def _waits_for_guests(self) -> bool:
        """Whether guests may be so new that the directory does not show them yet."""
        return is_stage(self._lease.ticket.job) and not self._channel.operation.alone

    def _known_unshown(self, guests: Mapping[int, str], now_ms: int) -> dict[int, Stop]:
        """Return the items whose guests were not shown a moment ago, whatever stage looked."""
        if not self._waits_for_guests:
            return {}
        tenant = self._channel.connection.tenant_key
        left = {i: self._look_ups.unshown.left_s(tenant, guest, now_ms) for i, guest in guests.items()}
        return {i: Stop(Rest.DIRECTORY, left_s) for i, left_s in left.items() if left_s > 0}

    def _await_unshown(self, looked: Looked, guests: dict[int, str], found: Found, now_ms: int) -> dict[int, str]:
        """Set items aside whose guests the directory does not show yet, or end them; where a call
        covers several, all wait for the youngest. Returns the others.
        """
        rows = self._lease.rows
        unshown = [i for i, guest in guests.items() if i not in looked.users and found.why_not_of(guest) is None]
        for i in unshown:
            later = wait_or_end(i, rows[i], now_ms)
            if isinstance(later, Stop):
                looked.aside[i] = later
                self._look_ups.unshown.note(self._channel.connection.tenant_key, guests[i], now_ms, later.wait_s)
            else:
                looked.outcomes.append(later)
        young = [i for i in unshown if age_s(rows[i], now_ms) < TOGETHER_S]
        if young and self._channel.operation.rows_a_call > 1:
            wait = min((looked.aside[i] for i in young), key=lambda stop: stop.wait_s)
            looked.aside |= dict.fromkeys(guests, wait)
        return {i: guest for i, guest in guests.items() if i not in unshown}

    async def _judge_known(
        self,
        addresses: Mapping[int, str],
        users: Mapping[int, DirectoryUser],
        found: Found,
        looked_at_ms: int,
        index: IndexPlace | None,
    ) -> list[Outcome]:
        """End the rows of guests invited lately; not of those who are not in the directory any
        more, which the index forgets.

        Of whom nobody can tell, the index has the word (`begin_batch`).
        """
        if index is None or self._channel.operation.alone:
            return []
        ledger, operation = self._services.ledger, self._channel.operation
        outcomes, deleted = [], []
        to_come = [i for i in addresses if operation.brings(self._lease.rows[i])]
        for row in await ledger.find_invited(index, to_come):
            if (user := users.get(row.index)) is not None:
                outcomes.append(operation.judge_known(row, looked_at_ms, user))
            elif found.why_not_of(addresses[row.index]) is None:
                if is_overruled(row, looked_at_ms, ledger.settle_s, self._services.clocks):
                    deleted.append(row)
                else:
                    outcomes.append(operation.judge_known(row, looked_at_ms))
        if deleted:
            await ledger.overrule(index, deleted)
        return outcomes

    def _judge_seen(
        self,
        addresses: Mapping[int, str],
        users: Mapping[int, DirectoryUser],
        found: Found,
        now_ms: int,
        first: Mapping[int, Attempt],
    ) -> list[Outcome]:
        """Return how the rows end that need not, or cannot, be done as their guests stand in the
        directory.
        """
        lease = self._lease
        judged = [
            self._channel.operation.judge_seen(Asked(i, lease.rows[i], users.get(i)), lease.options, first.get(i))
            for i, address in addresses.items()
            if i in users or (address not in found.unknown and not found.why_not)
        ]
        return [replace(outcome, at_ms=now_ms) for outcome in judged if outcome]

    async def _first_attempts(self, now_ms: int) -> dict[int, Attempt]:
        """Return the first attempt of each row that was in doubt before."""
        lease, connection, clocks = self._lease, self._channel.connection, self._services.clocks
        found = {}
        for i, at_ms in (await self._services.ledger.doubts.first_attempts(lease)).items():
            mail = self._channel.operation.mail(lease.rows[i], connection, lease.options)
            outcome = Outcome(i, RowState.DONE, mail=mail, attempts=int(lease.attempts[i]), at_ms=now_ms)
            found[i] = Attempt(clocks.graph_time(connection.graph_url, at_ms), outcome)
        return found


def _end_unknown(index: int, now_ms: int) -> Outcome:
    return Outcome(index, RowState.FAILED, code="not_looked_up", message=_REFUSED, at_ms=now_ms)


_REFUSED = (
    "Microsoft does not answer whether anybody has this address or id, so nobody can tell whom this is about, and"
    " nothing is done: name the guest by object id, or look in the Entra admin center."
)


def _wait_of(stop: Stop) -> float:
    return stop.wait_s


def may_not_read(permission: str) -> Verdict:
    """Say that what rows are about cannot be found without a permission."""
    return Verdict(
        Kind.HOLD,
        "may_not_read",
        "The application may not read what these rows are about: a tenant administrator must grant the application"
        f" permission {permission} and give admin consent. Just granted, it takes a few minutes; usher goes on by"
        " itself.",
        hold=HoldKind.PERMISSION,
    )


_MAY_NOT_LOOK = Verdict(
    Kind.HOLD,
    "may_not_read",
    "The application may not read users, so it cannot find those that this is about: a tenant administrator must grant"
    " the application permission User.Read.All and give admin consent. Just granted, it takes a few minutes; usher goes"
    " on by itself.",
    hold=HoldKind.PERMISSION,
)
