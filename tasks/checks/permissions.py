"""Each thing that usher does needs a permission of the application: the smallest that does, and its
reason. Pure.

All are *application* permissions of Microsoft Graph.
https://learn.microsoft.com/graph/permissions-reference
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.channels import INVITE
from worker.directory.role_guard import NEEDED as GUARD_PERMISSIONS
from worker.graph.guests import READ_SIGN_INS
from worker.graph.new_users import CREATE_USERS
from worker.graph.users import READ_ROLES
from worker.ledger.job_targets import TargetKind
from worker.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from worker.graph.causes import OperationRules
    from worker.operations.operation import Operation

_USERS = tuple(sorted(READ_ROLES - {"User.Read.All"}))
_ORGANIZATION = (
    *("Organization.Read.All", "Organization.ReadWrite.All"),
    *("Directory.Read.All", "Directory.ReadWrite.All"),
)


@dataclass(frozen=True, slots=True)
class Need:
    """One permission for one purpose. `also`: permissions that include it; `without`: what happens
    if none is granted.
    """

    permission: str
    reason: str
    without: str
    also: tuple[str, ...] = ()

    def is_met(self, roles: frozenset[str]) -> bool:
        """Whether a token with these roles may do it."""
        return self.permission in roles or not roles.isdisjoint(self.also)


_LOOK = Need(
    "User.Read.All",
    "to see who is a guest already, so that nobody is mailed twice, and to look an invitation up whose answer was lost",
    "a row whose answer was lost ends in_doubt, and existing guests are told by Microsoft one by one",
    _USERS,
)
_TRACK = Need(
    "User.Read.All", "to see which guests have accepted their invitation", "who has accepted cannot be seen", _USERS
)
_POLICY = Need(
    "Policy.Read.All",
    "to see, before anything is sent, who may invite and which domains are refused",
    "that invitations are switched off is seen at the first invitation only",
    ("Policy.ReadWrite.Authorization",),
)
_NAME = Need(
    "Organization.Read.All",
    "to show the tenant's name and domains before sending, and the domain that the e-mails come from",
    "the plan shows the tenant's id instead of its name",
    _ORGANIZATION[1:],
)

_LISTS = Need(
    "Policy.Read.B2BManagementPolicy",
    "to see the tenant's allow and deny list of domains before anything is sent",
    "a refused domain shows when Microsoft refuses its first guest",
    ("Policy.ReadWrite.B2BManagementPolicy",),
)
_PARTNERS = Need(
    "CrossTenantInformation.ReadBasic.All",
    "to see which domains belong to partners that cross-tenant access settings keep out",
    "such a domain shows when Microsoft refuses its guests",
)
_CREDENTIALS = Need(
    "Application.Read.All",
    "to see when the client secret ends, before it does",
    "that a secret has ended is seen when signing in fails (when a certificate ends is always seen)",
    ("Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
)


def _need_of(rules: OperationRules) -> Need:
    return Need(rules.permission, f"to {rules.verb}", rules.without, tuple(sorted(rules.also)))


_CREATE = _need_of(CREATE_USERS)


_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
_GUARD = tuple(
    Need(
        permission,
        "to see who holds or may take a directory role, so that nothing is ever done to such people",
        "nothing is done that needs to spare them",
        also,
    )
    for permission, also in zip(
        GUARD_PERMISSIONS,
        (
            ("RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory", *_DIRECTORY),
            ("RoleManagement.Read.Directory", "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"),
            ("GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", *_DIRECTORY),
        ),
        strict=True,
    )
)
STEPS: dict[str, Need] = {
    name: _need_of(operation.rules)
    for name, operation in OPERATIONS.items()
    if operation.rules.permission and not operation.alone and (operation.takes_lists or not operation.invites)
}
"""What each operation needs: the invitation, and each stage that may follow it."""
_SIGN_INS = Need(
    READ_SIGN_INS,
    "to see when guests signed in last (the tenant needs Entra ID P1 or P2 too)",
    "nobody is taken for inactive",
)


def _need_alone(operation: Operation) -> tuple[Need, ...]:
    """Return what an operation needs, and what it leads to."""
    led = [one for one in OPERATIONS.values() if one.alone and operation.leads_to(one)]
    return (
        *(_need_of(operation.rules), _LOOK),
        *(_GUARD if operation.guarded else ()),
        *((_SIGN_INS,) if operation.reads_sign_ins else ()),
        *(need for one in led for need in _need_alone(one)),
    )


_ALONE: dict[str, tuple[Need, ...]] = {
    name: tuple(dict.fromkeys(_need_alone(operation))) for name, operation in OPERATIONS.items() if operation.alone
}
"""What a person may do to guests who are there."""

_READ_GROUPS = Need(
    "GroupMember.Read.All",
    "to find groups and teams by what a list calls them, and to see who is a member already",
    "rows that ask for it wait, and all else goes on",
    ("GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", *_DIRECTORY),
)
_READS: dict[str, tuple[Need, ...]] = {
    name: (_READ_GROUPS,)
    for name, operation in OPERATIONS.items()
    if operation.target_kind in (TargetKind.GROUP, TargetKind.TEAM)
}
"""What a stage reads before it writes."""
NEEDED: dict[str, tuple[Need, ...]] = {
    name: (need, *_READS.get(name, ()), *(_GUARD if OPERATIONS[name].guarded else ())) for name, need in STEPS.items()
}
"""What each operation needs to do its work, reading included."""

FEATURES: dict[str, tuple[Need, ...]] = {
    **{
        name: (STEPS[name], *(need for need in needs[1:] if STEPS[name].permission not in need.also))
        for name, needs in NEEDED.items()
    },
    **_ALONE,
    "sync": (STEPS[INVITE], STEPS["profile"], *_ALONE["disable"]),
    "lookup": (_LOOK,),
    "tracking": (_TRACK,),
    "dry-run": (_LOOK, _POLICY, _NAME, _LISTS, _PARTNERS),
    "name": (_NAME,),
    "policy": (_POLICY,),
    "credentials": (_CREDENTIALS,),
    "create-users": (_CREATE, _LOOK),
}
"""What `--for` may name, and what each needs."""
USUAL = (INVITE, "lookup", "policy", "name")
"""What most installations want."""


def needs_of(features: Iterable[str]) -> list[Need]:
    """Return what some features need: each permission once, its reasons joined."""
    found: dict[str, Need] = {}
    for need in dict.fromkeys(need for feature in features for need in FEATURES[feature]):
        before = found.get(need.permission)
        if before is None:
            found[need.permission] = need
        else:
            reason, without = _join(before.reason, need.reason), _join(before.without, need.without)
            found[need.permission] = Need(need.permission, reason, without, need.also)
    return list(found.values())


def _join(said: str, more: str) -> str:
    """Return both, what is said already once. Pure."""
    return said if more in said.split("; ") else f"{said}; {more}"


def find_lacking(step: str, roles: frozenset[str]) -> list[Need]:
    """Return the needs of an operation that a token with these roles does not meet."""
    return [need for need in NEEDED[step] if not need.is_met(roles)]


def tell_steps(steps: Iterable[str], roles: frozenset[str] | None) -> dict[str, str]:
    """Return of each operation that the app lacks the right to, a sentence for whoever plans a
    job.

    `roles`: of the token; None: it does not show them, and nothing can be said.
    """
    if roles is None:
        return {}
    lacking = {
        step: " and ".join(need.permission for need in find_lacking(step, roles))
        for step in steps
        if step in NEEDED and OPERATIONS[step].rules.is_shown
    }
    return {
        step: (
            f"The app may not {OPERATIONS[step].rules.verb}: the stage {step} would wait, and all else go on, until a"
            f" tenant administrator grants the application permission {permissions} and gives admin consent."
        )
        for step, permissions in lacking.items()
        if permissions
    }


def read_features(text: str) -> tuple[str, ...]:
    """Read `invite,tracking`. Raises ValueError with half a sentence."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not names:
        raise ValueError(f"must be of {', '.join(FEATURES)}, separated by commas")
    return names
