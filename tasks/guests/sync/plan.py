"""A plan says what has to be done so that a tenant has the guests of a list: it takes one pass over
the list, its groups' members and the tenant's guests.

A list that is not certainly whole takes nobody away: one with rows that cannot be read, or that
lacks more guests than may leave it in one run. A list that cannot be one at all changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError
from tasks.guests.sync.brought import Brought
from tasks.guests.sync.difference import MEMBERSHIPS, Change, Kept, Kind, Named, Terms, build_join, build_leave, compare
from tasks.guests.sync.members import read_members
from tasks.guests.sync.spared import keep_members, read_guard
from tasks.rows.row import BadRow, ValidRow
from tasks.telling.words import many
from worker.directory.asking import PatientAsk
from worker.directory.guests import GuestReader
from worker.directory.targets import resolve
from worker.errors import DirectoryUnread
from worker.graph.guests import Also, original_address
from worker.graph.marks import EXTENSIONS
from worker.ledger.job_targets import Target, TargetKind
from worker.operations.operation import CannotAsk
from worker.operations.profile import Profile

if TYPE_CHECKING:
    from config.connections import Connection
    from tasks.guests.sync.store import SyncStore
    from tasks.lists.guest_list import GuestList
    from worker.directory.role_guard import RoleGuard
    from worker.graph.guests import Guest
    from worker.services import Services

LEFT, JOINED = "most_left", "most_joined"
"""The ceilings of `[connections.NAME.sync]`."""
_KINDS = {"groups": TargetKind.GROUP, "teams": TargetKind.TEAM, "sponsors": TargetKind.SPONSOR}
_PROPERTIES = (*(name for name in Profile.reads if name not in (EXTENSIONS, "displayName")), "proxyAddresses")
"""What is read of each guest beside what a listing reads anyway."""


@dataclass(slots=True)
class SyncPlan:
    """A plan has what differs in a store, and says what of it may be done. `own`: guests of the
    list who may sign in; `kept`: those in it that are left as they are; `losers`: those who are in
    a group that their row does not name any more. `whole`: a sentence why nobody is taken away,
    `in_groups` one why nobody is taken out of a group; '' where they may be. `unusable`: what the
    list names and nobody can be put into. `guard`: a sentence why nobody can tell whom to spare, so
    that no guest who is there is changed.
    """

    store: SyncStore
    source: str
    connection: Connection
    own: int = 0
    kept: Counter[Kept] = field(default_factory=Counter)
    whole: str = ""
    in_groups: str = ""
    unusable: Sequence[Target] = ()
    counts: Counter[Kind] = field(default_factory=Counter)
    losers: int = 0
    guard: str = ""

    @property
    def ceilings(self) -> list[str]:
        """The names of the ceilings that were met."""
        sync, found = self.connection.sync, []
        if not self.whole and max(self.counts[Kind.LEAVE], self.losers) > sync.most_left.of(self.own):
            found.append(LEFT)
        joins = sync.most_joined
        if joins is not None and (joins.share is None or self.own) and self.counts[Kind.JOIN] > joins.of(self.own):
            found.append(JOINED)
        return found

    @property
    def takes_away(self) -> bool:
        """Whether anybody is taken away."""
        return not self.whole and self.counts[Kind.LEAVE] <= self.connection.sync.most_left.of(self.own)

    @property
    def takes_out(self) -> bool:
        """Whether anybody is taken out of a group."""
        return self.takes_away and not (self.in_groups or self.guard or LEFT in self.ceilings)

    def changes(self) -> Iterator[Change]:
        """Yield what is done, row by row."""
        takes_away, takes_out, joins = self.takes_away, self.takes_out, JOINED not in self.ceilings
        for change in self.store.changes():
            if (change.kind is Kind.JOIN and not joins) or (change.kind is not Kind.JOIN and self.guard):
                continue
            if change.kind is Kind.LEAVE and not takes_away:
                continue
            if change.kind is Kind.LEAVE or takes_out:
                yield change
            elif (rest := change.without_losses()) is not None:
                yield rest

    def rows(self) -> Iterator[ValidRow | BadRow]:
        """Yield the rows of the job: what is done, and before it the rows that cannot be read."""
        yield from self.store.bad
        for change in self.changes():
            yield ValidRow(change.number, None, change.row)

    def describe(self) -> dict[str, Any]:
        """Return the plan in numbers, as `--json` has it."""
        done = Counter(change.kind for change in self.changes())
        would = {kind.value: done[kind] for kind in Kind}
        found = {kind.value: self.counts[kind] for kind in Kind}
        kept = {why.value: self.kept[why] for why in Kept}
        return {"source": self.source, "guests": self.own, "found": found, "would": would, **kept}


def read_list(
    store: SyncStore,
    guests: GuestList,
    count: Callable[[int], None] = lambda rows: None,
    rows: Iterable[ValidRow | BadRow] | None = None,
) -> None:
    """Read a list into a store, or those of its `rows` that are meant. Raises `InputError` for one
    that cannot be read, is empty, or does not say by a heading where its addresses are: nothing may
    be concluded from that.
    """
    for number, row in enumerate(guests.rows() if rows is None else rows, 1):
        store.put(row)
        if number % 256 == 0:
            count(number)
    if guests.reader.is_only_one:
        raise InputError(
            f"{guests.name} has no heading that says which column holds the addresses, so this may be another list than"
            " the one that the guests came from: name the column with --map email=HEADING."
        )
    if not store.rows:
        what = f"none of its {many(store.bad_count, 'row')} can be read" if store.bad_count else "it names nobody"
        raise InputError(f"{guests.name} is no list to keep guests in line with: {what}.")


async def make_plan(
    services: Services,
    connection: Connection,
    store: SyncStore,
    guests: GuestList,
    source: str,
    *,
    adopt: bool = False,
    count: Callable[[int, int | None], None] = lambda read, total: None,
) -> SyncPlan:
    """Compare a list that was read with its tenant. Raises `DirectoryUnread`, `TokenRefused`, and
    redis-py's errors; nothing was changed then.
    """
    ask = PatientAsk(services, connection, "")
    named, unusable = await _find_named(services, ask, connection, store)
    terms = Terms(connection, source, named, adopt)
    plan, brought = SyncPlan(store, source, connection, unusable=unusable), Brought(services, connection, source)
    guard = await read_guard(ask)
    plan.guard = guard.unread
    also = {Also.ATTRIBUTES} | ({Also.SPONSORS} if store.names["sponsors"] else set())
    read = 0
    async with aclosing(GuestReader(services, connection).pages(also, more=_PROPERTIES)) as pages:
        async for page in pages:
            if page.begins:
                store.begin()
                plan.own, plan.kept, read = 0, Counter(), 0
            unmarked = [found for guest in page.guests if (found := _judge(plan, terms, guest, guard)) is not None]
            own = await brought.find({place: row["email"] for place, (_, _, row) in enumerate(unmarked)})
            for place, found in enumerate(unmarked):
                _take(plan, replace(terms, adopt=True) if place in own else terms, guard, *found)
            read += len(page.guests)
            count(read, page.total)
    await asyncio.to_thread(_take_new, plan)
    plan.kept[Kept.MEMBER] = await keep_members(services, connection, store)
    plan.counts, plan.losers = store.counts(), store.losers()
    plan.whole = _why_not_whole(store, guests)
    plan.in_groups = _why_not_in_groups(guests)
    return plan


def _take_new(plan: SyncPlan) -> None:
    """Take those whom the tenant does not have: perhaps all of a million."""
    for number, row in plan.store.unmet():
        plan.store.put_change(build_join(number, row, plan.source))


_Found = tuple["Guest", int, dict[str, Any]]
"""A guest, and the number and row of the list that names them."""


def _judge(plan: SyncPlan, terms: Terms, guest: Guest, guard: RoleGuard) -> _Found | None:
    """Find out what the list wants of a guest; return one of the list without any mark."""
    is_spared = not guard.unread and guard.has(guest.id)
    plan.own += guest.enabled and not is_spared and terms.is_own(guest)
    found = plan.store.find(_addresses(guest)) or plan.store.find([original_address(guest.upn)])
    if found is None:
        if guest.enabled and terms.is_own(guest):
            _put(plan, build_leave(guest, terms.source), is_spared=is_spared)
        return None
    if terms.mark_of(guest) is None:
        return guest, *found
    _take(plan, terms, guard, guest, *found)
    return None


def _take(plan: SyncPlan, terms: Terms, guard: RoleGuard, guest: Guest, number: int, row: dict[str, Any]) -> None:
    """Take what the list changes of a guest whom it names."""
    verdict = compare(terms, guest, number, row, plan.store.memberships(guest.id))
    if isinstance(verdict, Kept):
        plan.kept[verdict] += 1
    else:
        _put(plan, verdict, is_spared=not guard.unread and guard.has(guest.id))


def _put(plan: SyncPlan, change: Change, *, is_spared: bool) -> None:
    """Take a change, unless its guest is never touched."""
    if is_spared:
        plan.kept[Kept.ROLE_HOLDER] += 1
    else:
        plan.store.put_change(change)


def _addresses(guest: Guest) -> Iterator[str]:
    """Yield all addresses by which a guest may stand in a list."""
    yield guest.email
    yield from guest.others
    proxies = guest.more.get("proxyAddresses")
    for proxy in proxies if isinstance(proxies, list) else ():
        if isinstance(proxy, str) and proxy[:5].lower() == "smtp:":
            yield proxy[5:]


async def _find_named(
    services: Services, ask: PatientAsk, connection: Connection, store: SyncStore
) -> tuple[Named, list[Target]]:
    """Find out what the list's names stand for, and read the members of its groups and teams."""
    ids: dict[str, dict[str, str]] = {"memberships": {}, "sponsors": {}}
    unusable: list[Target] = []
    titles: dict[str, str] = {}
    for column, kind in _KINDS.items():
        targets = await _resolve(ask, connection, column, kind, list(store.names[column]))
        for name, target in targets.items():
            if target.refused or not target.id:
                unusable.append(target)
                continue
            ids["memberships" if column in MEMBERSHIPS else "sponsors"][name] = target.id.lower()
            if column in MEMBERSHIPS:
                titles.setdefault(target.id.lower(), name)
    for target_id, name in titles.items():
        await read_members(services, connection, store, target_id, name)
    return Named(ids["memberships"], ids["sponsors"], titles), unusable


async def _resolve(
    ask: PatientAsk, connection: Connection, column: str, kind: TargetKind, names: Sequence[str]
) -> Mapping[str, Target]:
    if not names:
        return {}
    try:
        found = await resolve(ask, kind, names)
    except CannotAsk:
        raise DirectoryUnread(
            f"Microsoft did not say what the {column} of the list are on {connection.name}, so nothing was compared or"
            " changed: try again later."
        ) from None
    if found.may_not:
        raise DirectoryUnread(
            f"The application of {connection.name} may not look up {column} by name or id, so nothing was compared or"
            f" changed: grant the application permission {found.may_not} and give admin consent."
        )
    return found.targets


def _why_not_whole(store: SyncStore, guests: GuestList) -> str:
    if store.bad_count:
        whose = "its guest" if store.bad_count == 1 else "their guests"
        rows = many(store.bad_count, "row")
        return f"{rows} of the list cannot be read, and {whose} may be anybody: nobody is taken away. Mend the list."
    if guests.reader.surplus:
        rows, line = many(guests.reader.surplus, "row"), guests.reader.first_surplus
        return f"More cells than headings: {rows} of the list, the first in line {line}, so nobody is taken away."
    return ""


def _why_not_in_groups(guests: GuestList) -> str:
    left_out = " and ".join(sorted(guests.fields_left_out & set(MEMBERSHIPS)))
    return left_out and f"Cells of {left_out} cannot be used: nobody is taken out of a group. Mend the list."
