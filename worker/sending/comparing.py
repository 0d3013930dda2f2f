"""Before rows are sent, their operation compares them with what the tenant has: some need not be
sent, some cannot be, some wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from worker.directory.targets import Resolved, resolve_for
from worker.ledger.job_targets import Target
from worker.ledger.model import Lease, Outcome, RowState
from worker.ledger.stages import split_stage
from worker.ledger.why_waiting import Rest, Stop
from worker.operations.operation import Asked, CannotAsk, Channel, Operation
from worker.sending.asking import DirectoryAsk
from worker.sending.not_shown import wait_or_end
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.directory.lookups import Reacts
    from worker.services import Services
    from worker.signin.credentials import AccessToken


class Comparing:
    """Compares the rows of one leased chunk, each once a try."""

    def __init__(self, services: Services, lease: Lease, channel: Channel, reacts: Reacts) -> None:
        self._services = services
        self._lease = lease
        self._channel = channel
        root, _ = split_stage(lease.ticket.job)
        self.ask = DirectoryAsk(services, channel.connection, reacts, root, lease.ticket.lane)
        self.targets: Mapping[str, Target] = {}
        """What the rows' targets stand for, once they were found."""
        of, its_own = type(channel.operation), Operation
        self._compares = of.compare is not its_own.compare
        self._remembers = of.remember is not its_own.remember
        self._takes_back = of.take_back is not its_own.take_back
        self._compared: dict[int, int] = {}  # row → its tries when it was compared

    async def find_targets(self) -> Resolved:
        """Find out what the names of the pending rows stand for. Raises `CannotAsk`."""
        kind, rows = self._channel.operation.target_kind, self._lease.rows
        if kind is None:
            return Resolved()
        names = list(dict.fromkeys([name for i in self._lease.pending() if (name := rows[i].get("target"))]))
        if not names:
            return Resolved()
        resolved = await resolve_for(self._services.job_targets, self.ask.job, self.ask, kind, names)
        self.targets = resolved.targets
        return resolved

    @property
    def token(self) -> AccessToken | None:
        """The token that the tenant was asked with last."""
        return self.ask.token

    async def find_along(self) -> dict[int, tuple[Target, ...]]:
        """Return what rows name that their requests can take along. Nothing waits for it: what
        nobody can tell now the stage does later.
        """
        if self._channel.operation.takes_along is None:
            return {}
        column, kind = self._channel.operation.takes_along
        lease = self._lease
        names = {i: given for i in lease.pending() if (given := lease.rows[i].get(column))}
        each = list(dict.fromkeys(name for given in names.values() for name in given))
        if not each:
            return dict.fromkeys(names, ())
        store, job = self._services.job_targets, lease.ticket.job
        try:
            known = (await resolve_for(store, job, self.ask, kind, each)).targets
        except CannotAsk:
            known = await store.read(job, kind, each)
        return {i: tuple(known[name] for name in given if name in known) for i, given in names.items()}

    async def compare(self, rows: Sequence[Asked]) -> Mapping[int, Outcome | Stop]:
        """Return the rows that are not to be sent: how they end, or why they wait. Raises
        `CannotAsk`.
        """
        if not self._compares:
            return {}
        new = [row for row in rows if self._compared.get(row.index) != row.tried]
        if not new:
            return {}
        found = await self._channel.operation.compare(self.ask, new, self._channel.connection, self._lease.options)
        self._compared |= {row.index: row.tried for row in new}
        now_ms = self._services.clocks.redis_ms()
        return {index: self._dated(index, one, now_ms) for index, one in found.items()}

    async def remember(self, asked: Mapping[int, Asked], outcomes: Sequence[Outcome]) -> None:
        """Remember what was done. A server that is away keeps nobody from recording it."""
        if not self._remembers:
            return
        if rows := [asked[one.index] for one in outcomes if one.letter is RowState.DONE]:
            with suppress(*OUTAGE):
                await self._channel.operation.remember(self.ask, rows, self._channel.connection)

    async def take_back(self, asked: Mapping[int, Asked], outcomes: Sequence[Outcome]) -> None:
        """Take back what was noted of rows that Graph has refused."""
        if not self._takes_back:
            return
        if rows := [asked[one.index] for one in outcomes if one.letter is RowState.FAILED]:
            await self._channel.operation.take_back(self.ask, rows, self._channel.connection)

    def _dated(self, index: int, found: Outcome | Stop, now_ms: int) -> Outcome | Stop:
        """Say when an outcome came to be, and until when a guest is waited for who is not shown."""
        if isinstance(found, Stop):
            is_unknown = found.why is Rest.DIRECTORY and not found.wait_s
            return wait_or_end(index, self._lease.rows[index], now_ms) if is_unknown else found
        found.at_ms = found.at_ms or now_ms
        return found
