"""Groups, teams and sponsors are found by what a list calls them, once for a whole job.

A name is an id, an address or a display name. One that stands for nothing, for two, or for a group
that usher puts nobody in is refused with a sentence: whoever gave it on the command reads that
before anything is sent, and of a row's name the row's stage ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.graph.batch import BATCH_LIMIT, GraphAnswer, GraphRequest
from worker.graph.causes import Kind
from worker.graph.groups import DirectoryObject, build_path, read_objects
from worker.graph.verdicts import READ_GROUPS, READ_USERS, decide
from worker.ledger.job_targets import JobTargets, Target, TargetKind
from worker.operations.operation import Ask

_COLLECTIONS: Mapping[TargetKind, tuple[str, ...]] = {
    TargetKind.GROUP: ("groups",),
    TargetKind.TEAM: ("groups",),
    TargetKind.SPONSOR: ("users", "groups"),
}
_RULES = {"groups": READ_GROUPS, "users": READ_USERS}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What names stand for. `may_not`: the permission without which some could not be looked for;
    those are missing in `targets`.
    """

    targets: Mapping[str, Target] = field(default_factory=dict)
    may_not: str = ""


async def resolve_for(store: JobTargets, job: str, ask: Ask, kind: TargetKind, names: Sequence[str]) -> Resolved:
    """Return what names stand for in a root job: found before, or now. Raises `CannotAsk`."""
    known = await store.read(job, kind, names)
    found = await resolve(ask, kind, [name for name in names if name not in known])
    await store.keep(job, found.targets.values())
    return Resolved({**known, **found.targets}, found.may_not)


async def resolve(ask: Ask, kind: TargetKind, names: Sequence[str]) -> Resolved:
    """Return what names stand for in the tenant, 20 requests at a time. Raises `CannotAsk`."""
    collections = _COLLECTIONS[kind]
    asked = [(name, collection) for name in dict.fromkeys(names) for collection in collections]
    found: dict[str, list[DirectoryObject]] = {}
    unread: dict[str, str] = {}
    for start in range(0, len(asked), BATCH_LIMIT):
        part = asked[start : start + BATCH_LIMIT]
        requests = [GraphRequest(str(n), "GET", build_path(what, name)) for n, (name, what) in enumerate(part)]
        answers = await ask.get(requests)
        for (name, collection), request in zip(part, requests, strict=True):
            permission = _read(answers[request.id], collection, found.setdefault(name, []))
            if permission:
                unread[name] = permission
    # A person who was found by an address is not looked for among the groups that nobody may read
    missing = {name: permission for name, permission in unread.items() if not found[name]}
    targets = {name: _judge(name, kind, objects) for name, objects in found.items() if name not in missing}
    return Resolved(targets, next(iter(missing.values()), ""))


def _read(answer: GraphAnswer, collection: str, found: list[DirectoryObject]) -> str:
    """Add what an answer shows; return the permission that it wants."""
    rules = _RULES[collection]
    verdict = decide(rules, answer)
    if verdict.kind is Kind.OK:
        found += read_objects(collection, answer)
    return rules.permission if verdict.cause == "may_not_read" else ""


def _judge(name: str, kind: TargetKind, objects: Sequence[DirectoryObject]) -> Target:
    thing = kind.value
    if not objects:
        why = f"There is no {thing} “{name}” in this tenant: check the name, or give the id.{_hint(name, thing)}"
        return Target("", name, kind, why)
    if len(objects) > 1:
        why = f"More than one {thing} of this tenant is called “{name}”: give the id of the one that is meant."
        return Target("", name, kind, why)
    (one,) = objects
    refused = "" if kind is TargetKind.SPONSOR else _refusal(name, one, kind)
    return Target(one.id, name, kind, refused, one.title, one.collection)


def _hint(name: str, thing: str) -> str:
    """Say how several are named, where this may be several."""
    if "," not in name and ";" not in name:
        return ""
    return f" If these are several: a semicolon stands between them in a cell, and --{thing} is given once for each."


def _refusal(name: str, group: DirectoryObject, kind: TargetKind) -> str:
    """Say why usher changes nobody's membership of a group; '' where it may."""
    if group.takes_roles:
        return (
            f"The group “{name}” can be given directory roles, so usher puts no guest into it and takes none out: an"
            " administrator does that by hand, or the list names another group."
        )
    if group.dynamic:
        return (
            f"A rule decides who is in the group “{name}” (dynamic membership), so nobody can be added or taken out: an"
            " administrator changes the rule, or the list names another group."
        )
    if group.synced:
        return (
            f"The group “{name}” comes from the on-premises directory: change its members there, or name another group."
        )
    if group.mail_only:
        return (
            f"“{name}” is a distribution list or a mail-enabled security group, which Graph cannot change: change its"
            " members in Exchange, or name another group."
        )
    if kind is TargetKind.TEAM and group.without_team:
        return f"The group “{name}” has no team: name a team, or add the guests to it as a group."
    return ""
