"""Populates a tenant with guests of every kind that a clean-up meets: many at once, the same each
time, and it tells who is what.

Ages are days before the sandbox's clock. What a kind is for stands beside it, as seen by a policy
that reminds after 7 days, disables pending guests after 30 and inactive ones after 90, and spares
`spared.example`, the group "Spared" and the addresses of `spared_address`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.directory import ACCEPTED, PENDING, Tenant, User
from sandbox.groups import Group, make_group
from sandbox.ids import guid
from sandbox.options import OptionError
from sandbox.resources.roles import ASSIGNED, ELIGIBLE
from sandbox.world import World

Body = dict[str, Any]
_DAY_S = 86_400
_MOST = 200_000
_DATES = {
    "tried": "lastSignInDateTime",
    "client": "lastNonInteractiveSignInDateTime",
    "in": "lastSuccessfulSignInDateTime",
}
_SPARED = "Spared"
_ATTRIBUTE = "extensionAttribute10"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of guest: ages in days, None for "not known". `seen`: how long ago each date of
    signing in was, None where Graph has no dates at all; `share`: its weight in the mixture.
    """

    why: str
    share: int = 2
    created: int | None = 300
    state: str | None = ACCEPTED
    changed: int | None = 290
    seen: dict[str, int] | None = None
    enabled: bool = True
    user_type: str = "Guest"
    creation_type: str | None = "Invitation"
    domain: str = ""
    role: str = ""
    group: str = ""
    owns: bool = False
    expires: str | int | None = None
    mail: bool = True


_LONG = {"tried": 200, "client": 200, "in": 200}
_LATELY = {"tried": 5, "client": 6, "in": 5}
KINDS = {
    "active": Kind("signed in lately", 36, seen=_LATELY),
    "active_client": Kind("only a client signed in lately", seen={**_LONG, "client": 5}),
    "failed_newer": Kind("tried lately, and failed", seen={**_LONG, "tried": 5}),
    "inactive": Kind("not seen for long", 8, seen=_LONG),
    "inactive_spelled": Kind("not seen for long; an address in capitals", seen=_LONG, domain="MIXED.Example"),
    "inactive_nameless": Kind("not seen for long; has no mail, another address only", seen=_LONG, mail=False),
    "inactive_lookalike": Kind("not seen for long; nearly a spared domain", seen=_LONG, domain="notspared.example"),
    "inactive_expires_later": Kind("not seen for long, its end far away", seen=_LONG, expires=200),
    "never_seen": Kind("accepted long ago and never signed in", 4),
    "never_seen_empty": Kind("the same; Graph gives dates that are empty", seen={}),
    "accepted_lately": Kind("invited long ago, accepted lately, no date yet", changed=4),
    "pending_new": Kind("invited lately", 3, created=2, state=PENDING, changed=2),
    "pending_due": Kind("invited a while ago: to be reminded", 4, created=10, state=PENDING, changed=10),
    "pending_old": Kind("invited long ago: to be disabled", 4, created=60, state=PENDING, changed=60),
    "pending_disabled": Kind("the same, disabled by hand", created=60, state=PENDING, changed=60, enabled=False),
    "pending_again": Kind("redeems again since lately", seen=_LONG, state=PENDING, changed=3),
    "pending_spared": Kind("invited long ago, of a spared domain", state=PENDING, domain="spared.example"),
    "unknown_old": Kind("Graph tells no state; there for long", state=None, changed=None),
    "unknown_new": Kind("Graph tells no state; there since lately", created=5, state=None, changed=None),
    "unknown_undated": Kind("Graph tells neither state nor dates", created=None, state=None, changed=None),
    "internal": Kind("came by no invitation", state=None, changed=None, creation_type=None, seen=_LONG),
    "internal_pending": Kind("came by no invitation, pending", state=PENDING, creation_type=None),
    "member": Kind("a member from outside", user_type="Member", seen=_LONG),
    "member_pending": Kind("a member from outside, pending", user_type="Member", state=PENDING),
    "disabled": Kind("not seen for long, disabled by hand", seen=_LONG, enabled=False),
    "role_holder": Kind("holds a role", 1, seen=_LONG, role=ASSIGNED),
    "role_eligible": Kind("may take a role", 1, seen=_LONG, role=ELIGIBLE),
    "role_member": Kind("in a role-assignable group", 1, seen=_LONG, group="Helpdesk (roles)"),
    "role_owner": Kind("owns a role-assignable group", 1, seen=_LONG, group="Helpdesk (roles)", owns=True),
    "role_pending": Kind("holds a role, pending", 1, state=PENDING, role=ASSIGNED),
    "spared_domain": Kind("of a spared domain", 1, seen=_LONG, domain="spared.example"),
    "spared_subdomain": Kind("of a spared domain's subdomain", 1, seen=_LONG, domain="berlin.spared.example"),
    "spared_group": Kind("in a spared group", 1, seen=_LONG, group=_SPARED),
    "spared_address": Kind("by its address", 1, seen=_LONG),
    "expired": Kind("its end was lately; signed in", seen=_LATELY, expires=-3),
    "expired_pending": Kind("its end was lately; invited lately", created=5, state=PENDING, changed=5, expires=-3),
    "expired_spared": Kind("its end was lately; of a spared domain", 1, domain="spared.example", expires=-3),
    "expired_role": Kind("its end was lately; holds a role", 1, seen=_LATELY, role=ASSIGNED, expires=-3),
    "expires_soon": Kind("its end is near", seen=_LATELY, expires=7),
    "expires_later": Kind("its end is far away", seen=_LATELY, expires=200),
    "expires_unreadable": Kind("its end is no date", seen=_LATELY, expires="soon"),
}


def populate(world: World, tenant: Tenant, body: Body) -> Body:
    """Add `count` guests, of all kinds or of those that `kinds` gives shares (names, or name →
    share). Answers who is what: kind → addresses. Raises `OptionError`.
    """
    count, domains = body.get("count"), body.get("domains", 40)
    if type(count) is not int or not 0 <= count <= _MOST or type(domains) is not int or domains < 1:
        raise OptionError(f"'count' is a number of guests up to {_MOST}, 'domains' one of domains.")
    shares = _read_shares(body.get("kinds"))
    name = str(body.get("name", "guest"))
    made = {
        kind: [_make(world, tenant, f"{name}-{kind}-{n}", KINDS[kind], n, domains) for n in range(number)]
        for kind, number in zip(shares, _spread(count, list(shares.values())), strict=True)
    }
    if any(address in tenant.by_address for users in made.values() for user in users for address in user.addresses()):
        raise OptionError(f"Guests called '{name}' have been made before; choose another 'name'.")
    for kind, users in made.items():
        for user in users:
            tenant.add(user)
            world.recorder.user_changed(tenant, user)
        _join(world, tenant, KINDS[kind], users)
    told = {kind: [user.mail or user.other_mails[0] for user in users] for kind, users in made.items()}
    return {"count": count, "kinds": told}


def _read_shares(given: Any) -> dict[str, int]:
    if given is None:
        return {name: kind.share for name, kind in KINDS.items()}
    if isinstance(given, list):
        given = dict.fromkeys(given, 1)
    if not isinstance(given, dict) or not given or not given.keys() <= KINDS.keys():
        raise OptionError(f"'kinds' has names, with or without shares, of {', '.join(KINDS)}.")
    if not all(type(share) is int and share > 0 for share in given.values()):
        raise OptionError("A share is a whole number above 0.")
    return dict(given)


def _spread(count: int, shares: Sequence[int]) -> Iterator[int]:
    """Yield how many of `count` each share is; together all of them."""
    total, sum_, given = sum(shares), 0, 0
    for share in shares:
        sum_ += share
        yield count * sum_ // total - given
        given = count * sum_ // total


def _make(world: World, tenant: Tenant, local: str, kind: Kind, n: int, domains: int) -> User:
    """Make the n-th guest of a kind. Accepted guests were created over two years of weeks."""
    mail = f"{local}@{kind.domain or f'partner{n % domains:03d}.example'}"
    created = kind.created
    if created is not None and kind.state == ACCEPTED:
        created += 7 * (n % 104)
    before = world.clock.stamp_before
    return User(
        id=guid(f"{world.options.seed}|{tenant.id}|{mail.lower()}"),
        mail=mail if kind.mail else None,
        display_name=f"Guest {local}",
        upn=f"{mail.replace('@', '_')}#EXT#@{tenant.initial_domain}",
        user_type=kind.user_type,
        state=kind.state,
        state_changed_at=None if kind.changed is None else before(kind.changed * _DAY_S),
        created_at="" if created is None else before(created * _DAY_S),
        enabled=kind.enabled,
        creation_type=kind.creation_type,
        other_mails=(mail,),
        proxy_addresses=(f"SMTP:{mail}",) if kind.mail else (),
        role=kind.role,
        sign_ins=None
        if kind.seen is None
        else {_DATES[name]: before(days * _DAY_S) for name, days in kind.seen.items()},
        extra=None if kind.expires is None else {"onPremisesExtensionAttributes": {_ATTRIBUTE: _end(world, kind)}},
    )


def _end(world: World, kind: Kind) -> str:
    return world.clock.stamp_before(-kind.expires * _DAY_S)[:10] if isinstance(kind.expires, int) else str(kind.expires)


def _join(world: World, tenant: Tenant, kind: Kind, users: Sequence[User]) -> None:
    """Make users members, or owners, of the group of their kind."""
    if not kind.group or not users:
        return
    ids = tuple(user.id for user in users)
    group = _find_or_make(world, tenant, kind.group)
    if kind.owns:
        group.owners = (*group.owners, *ids)
        world.recorder.group_changed(tenant, group)
    else:
        group.members.update(dict.fromkeys(ids))
        world.recorder.members_changed(tenant, group, joined=ids)


def _find_or_make(world: World, tenant: Tenant, name: str) -> Group:
    group = next((group for group in tenant.groups.values() if group.display_name == name), None)
    if group is None:
        group = make_group(tenant.id, tenant.domains[0], name)
        tenant.add_group(group)
        world.recorder.group_changed(tenant, group)
    return group
