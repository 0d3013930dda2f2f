"""A tenant's guests are judged by the connection's policy, page by page: what is due becomes a
plan, and nothing is changed.

What cannot be read stops only what needs it: without dates of signing in nobody is inactive, and
where nobody can tell who may take a directory role nobody is disabled or deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.errors import Refusal
from tasks.guests.clean.plan import CleanPlan
from tasks.guests.clean.spared import read_whom_to_spare
from worker.directory.asking import PatientAsk
from worker.directory.guests import GuestReader
from worker.errors import DirectoryUnread
from worker.graph.guests import Also
from worker.operations.clean.judging import policy_of
from worker.operations.clean.memory import read_memory
from worker.operations.clean.policy import Because, Deed, Finding, Policy, Spared, Stays, judge
from worker.operations.registry import OPERATIONS
from worker.store.client import read_time_ms

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.guests import Guest
    from worker.operations.ask import Ask
    from worker.services import Services

Heard = Callable[[int, int | None], None]
"""Told how many guests were read, of how many."""
_SETTLED = timedelta(hours=1)
"""A guest whom usher disabled more lately may be shown as enabled still."""
NOBODY_DATED = (
    "No guest of {} has a date of signing in: such a tenant shows them to nobody (it needs Entra ID P1 or P2), which"
    " does not mean that nobody signs in. So nobody is taken for inactive."
)


_UNDELETED = (
    " Nor is anybody deleted, for a disabled guest may have tried to come back; without disable_inactive_after nobody"
    " asks for these dates."
)


async def ask_now(services: Services) -> datetime:
    """Return the present on Redis's clock."""
    if not services.clocks.knows_redis:
        services.clocks.learn_redis(await read_time_ms(services.client))
    return datetime.fromtimestamp(services.clocks.redis_ms() / 1000, UTC)


async def evaluate(
    services: Services,
    connection: Connection,
    plan: CleanPlan,
    *,
    job: str,
    only: Collection[Deed] = tuple(Deed),
    dry: bool = False,
    heard: Heard = lambda read, total: None,
) -> None:
    """Fill a plan with what is due in a tenant. `job`: that it is asked for; `only`: these kinds;
    `dry`: nothing is to be done, so usher's own notes of guests stay as they are, too.

    Raises `Refusal` where there is no policy or nobody can tell whom to spare, `DirectoryUnread`,
    and `TokenRefused`.
    """
    policy = policy_of(connection)
    wanted = policy.deeds & set(only)
    if not wanted:
        listed = services.settings().listed
        where = f"under [connections.{connection.name}.clean]"
        if listed is not None and connection.name in listed.connections:
            where = f"into its line of {listed.path.name}, in columns such as clean.disable_inactive_after"
        raise Refusal(
            f"The settings of {connection.name} do not say what is to be done to guests: write it {where}. Nothing was"
            " done."
        )
    ask = PatientAsk(services, connection, job)
    spared, guard = await read_whom_to_spare(ask, connection)
    if guard.unread and wanted != {Deed.REMIND}:
        wanted &= {Deed.REMIND}
        plan.is_short = True
        plan.notes.append(f"{guard.unread} Nobody is disabled or deleted.")
    if wanted:
        await _Evaluation(services, connection, plan, ask, spared, wanted, dry, heard).read(policy)
    await _tell_missing(services, connection, plan)
    plan.withhold(connection.clean)
    if set(only) == set(Deed):
        await services.last_seen.note_due(connection.name, plan.would)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One tenant is judged into one plan: by the whole policy, for whoever is due to one thing is
    not due to another; what is not `wanted` does not come into the plan.
    """

    services: Services
    connection: Connection
    plan: CleanPlan
    ask: Ask
    spared: Spared
    wanted: frozenset[Deed]
    dry: bool
    heard: Heard

    async def read(self, policy: Policy) -> None:
        """Judge all guests, by dates of signing in where these can be read."""
        plan = self.plan
        if policy.needs_dates and Deed.DISABLE in self.wanted:
            try:
                is_dated = await self._pass(policy, {Also.SIGN_INS})
            except DirectoryUnread as unread:
                if not unread.missing:
                    raise
                plan.notes.append(f"{unread} So nobody is taken for inactive.{self._undeleted}")
                plan.dropped.add(Because.DISABLED)
                plan.is_short = True
            else:
                if not is_dated and plan.guests:
                    plan.dropped |= {Because.INACTIVE, Because.DISABLED}
                    plan.is_short = True
                    plan.notes.append(NOBODY_DATED.format(self.connection.name) + self._undeleted)
                return
        policy = replace(policy, clean=policy.clean.model_copy(update={"disable_inactive_after_s": None}))
        plan.begin()
        if policy.deeds & self.wanted:
            await self._pass(policy, set())

    @property
    def _undeleted(self) -> str:
        """What it means for deleting that nobody can tell who tried to sign in."""
        return _UNDELETED if Deed.DELETE in self.wanted else ""

    async def _pass(self, policy: Policy, also: Set[Also]) -> bool:
        """Judge all guests once; returns whether any of them has a date of signing in."""
        also = also | ({Also.ATTRIBUTES} if policy.clean.disable_expired else set())
        now, is_dated, read = await ask_now(self.services), False, 0
        pages = GuestReader(self.services, self.connection).pages(also, pending=self.wanted == {Deed.REMIND})
        async with aclosing(pages):
            async for page in pages:
                if page.begins:
                    self.plan.begin()
                    read = 0
                await self._judge(page.guests, policy, now)
                is_dated = is_dated or any(guest.signed_in_at for guest in page.guests)
                read += len(page.guests)
                self.heard(read, page.total)
        return is_dated

    async def _judge(self, guests: Sequence[Guest], policy: Policy, now: datetime) -> None:
        memory = await read_memory(guests, self.connection.tenant_key, self.ask)
        enabled_since = []
        for guest in guests:
            disabled_at = memory[guest.id].disabled_at
            finding = judge(guest, memory[guest.id], policy, self.spared, now)
            if finding.deed is not None and finding.deed not in self.wanted:
                finding = Finding(None, Stays.OTHERWISE_DUE, finding.why)
            self.plan.put(guest, finding)
            if guest.enabled and disabled_at and now - disabled_at > _SETTLED:
                enabled_since.append(guest.id)
        # Somebody let them in again: if they are disabled later, it was not by usher
        if not self.dry:
            await self.services.disabled.drop(self.connection.tenant_key, enabled_since)


async def _tell_missing(services: Services, connection: Connection, plan: CleanPlan) -> None:
    """Note what is due that the application may not do."""
    token = await services.tokens.get(connection)
    for deed in Deed:
        if not plan.due(deed):
            continue
        rules = OPERATIONS[deed].rules
        if rules.is_granted(token.roles) is False:
            plan.notes.append(
                f"The application may not {rules.verb}, so these guests wait until a tenant administrator grants the"
                f" application permission {rules.permission} and gives admin consent."
            )
