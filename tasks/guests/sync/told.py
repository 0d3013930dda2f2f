"""A plan is told as a difference is: a line a guest, and what somebody has to know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.guests.sync.difference import Change, Kept, Kind
from tasks.guests.sync.plan import JOINED, LEFT, SyncPlan
from tasks.telling.words import many, number
from worker.ledger.job_targets import TargetKind

_SIGNS = {Kind.JOIN: "+", Kind.RETURN: "+", Kind.MOVE: "~", Kind.LEAVE: "-"}
_DEEDS = {Kind.JOIN: "invite", Kind.RETURN: "enable", Kind.MOVE: "change", Kind.LEAVE: "disable"}
_BEGINS = {
    Kind.JOIN: ("invite",),
    Kind.RETURN: ("back in the list: enable",),
    Kind.MOVE: (),
    Kind.LEAVE: ("not in the list any more: disable",),
}


def tell_change(change: Change) -> str:
    """Return the line of a change: its sign, the row of the list, the address, what differs."""
    leaves = [f"leaves {', '.join(change.lost)}"] if change.lost else []
    words = "; ".join([*_BEGINS[change.kind], *change.said, *leaves])
    return f"{_SIGNS[change.kind]} {change.number or '':>6}  {change.email}  {words}"


def sum_up(plan: SyncPlan) -> str:
    """Return what is done in numbers, a sentence without its end."""
    told = [f"{number(count)} to {deed}" for deed, count in count_deeds(plan).items() if count]
    same = f"{many(plan.kept[Kept.SAME], 'guest')} as the list says"
    return f"{', '.join(told) or 'Nothing to do'}; {same}"


def count_deeds(plan: SyncPlan) -> dict[str, int]:
    """Return to how many guests each kind of thing is done."""
    would = plan.describe()["would"]
    return {deed: would[kind.value] for kind, deed in _DEEDS.items()}


def tell_needs(plan: SyncPlan) -> list[str]:
    """Return why somebody has to act, a sentence each."""
    told = [plan.guard, plan.whole, "" if plan.whole else plan.in_groups]
    told += [_CEILINGS[name](plan) for name in plan.ceilings]
    told += [_UNUSABLE[target.kind is TargetKind.SPONSOR].format(target.refused) for target in plan.unusable]
    return [sentence for sentence in told if sentence]


def tell_kept(plan: SyncPlan) -> list[str]:
    """Return whom the list names and leaves as they are, a sentence a reason."""
    told = [
        sentence.format(many(plan.kept[why], *_CALLED.get(why, ("guest",))), source=plan.source)
        for why, sentence in _KEPT.items()
        if plan.kept[why]
    ]
    if plan.losers and plan.takes_out:
        told.append(f"To leave groups: {many(plan.losers, 'guest')}, whom a list puts back, not usher guests undo.")
    if plan.store.repeated:
        told.append(f"Named again in the list, where the first counts: {many(plan.store.repeated, 'row')}.")
    return told


def _tell_left(plan: SyncPlan) -> str:
    most = plan.connection.sync.most_left
    what, found, nobody = "Not in the list any more", plan.counts[Kind.LEAVE], "nobody is taken away"
    if plan.takes_away:
        what, found, nobody = "To leave a group", plan.losers, "nobody is taken out of one"
    return (
        f"{what}: {many(found, 'guest')} of {number(plan.own)}, and most_left ({most}) allows"
        f" {number(most.of(plan.own))} in one run, so {nobody}: look whether the list is whole; if it is, raise"
        f" connections.{plan.connection.name}.sync.most_left for this run."
    )


def _tell_joined(plan: SyncPlan) -> str:
    most = plan.connection.sync.most_joined
    return (
        f"New in the list: {many(plan.counts[Kind.JOIN], 'guest')}, and most_joined ({most}) allows"
        f" {number(most.of(plan.own) if most else 0)} in one run, so nobody is invited: look whether it is the right"
        f" list; if it is, raise connections.{plan.connection.name}.sync.most_joined for this run."
    )


_UNUSABLE: Mapping[bool, str] = {
    False: "{} Nobody is put into it, and whose row names it leaves no group.",
    True: "{} Nobody gets it as a sponsor.",
}
_CALLED: Mapping[Kept, tuple[str, ...]] = {Kept.MEMBER: ("person", "people")}
_CEILINGS: Mapping[str, Callable[[SyncPlan], str]] = {LEFT: _tell_left, JOINED: _tell_joined}
_KEPT: Mapping[Kept, str] = {
    Kept.OTHERS: "Brought by another list, and left to it: {} of this one.",
    Kept.UNMARKED: (
        "In the tenant before, without any list's mark, and left so: {} of the list (--adopt makes them guests of the"
        " list {source})."
    ),
    Kept.DISABLED: (
        "Cannot sign in, and were not disabled by the list: {} of it. They stay so until somebody enables them (usher"
        " guests enable)."
    ),
    Kept.ROLE_HOLDER: "Hold or may take a directory role, so nothing is done to them: {} whom the list would change.",
    Kept.MEMBER: "Members of the tenant, whom usher never changes: {} of the list.",
}
