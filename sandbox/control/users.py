"""Users, as the control API shows and changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.directory import Tenant, User
from sandbox.options import OptionError
from sandbox.resources.roles import ASSIGNED, ELIGIBLE
from sandbox.world import World

Body = dict[str, Any]
_SIGN_INS = {
    "": ("lastSignInDateTime", "lastSuccessfulSignInDateTime"),
    "failed": ("lastSignInDateTime",),
    "client": ("lastNonInteractiveSignInDateTime",),
}
"""Which dates a person's way of signing in moves, as documented; a client's success is a success
too, but in doubt Graph shows the one date only.
"""


def show_user(user: User) -> Body:
    """Return what people and tests see of a user; never the ticket."""
    return {
        "id": user.id,
        "email": user.mail,
        "display_name": user.display_name,
        "user_type": user.user_type,
        "state": user.state,
        "enabled": user.enabled,
        "created_at": user.created_at,
        "invitations": user.invitations,
        "mails": user.mails,
        "company": (user.extra or {}).get("companyName", ""),
        "sponsors": list(user.sponsors),
        "extension_attributes": (user.extra or {}).get("onPremisesExtensionAttributes", {}),
    }


def change_user(world: World, tenant: Tenant, body: Body) -> Body:
    """Do something to one user, or the same to each of a list named `users`, until one cannot be.
    Raises `OptionError`.
    """
    if isinstance(many := body.get("users"), list):
        for entry in many:
            change_user(world, tenant, {**body, **entry, "users": None})
        return {"users": len(many)}
    email, action = str(body.get("email", "")), body.get("action")
    user = tenant.find(email)
    if action == "add":
        user = _add_user(world, tenant, email, body)
    elif action not in _ACTIONS:
        raise OptionError(f"'action' is add, {', '.join(_ACTIONS)}.")
    elif user is None:
        raise OptionError(f"There is no user with the address {email or '(none given)'}.")
    else:
        _ACTIONS[action](world, tenant, user, body)
    if action == "purge":
        world.recorder.user_purged(tenant, user)
    else:
        world.recorder.user_changed(tenant, user)
    return {"user": show_user(user)}


def _add_user(world: World, tenant: Tenant, email: str, body: Body) -> User:
    directory = world.directory
    if "@" not in email or tenant.find(email) is not None:
        raise OptionError(f"'{email}' is not an address, or some user has it already.")
    name = str(body.get("display_name") or email.partition("@")[0])
    if body.get("user_type") == "Member":
        user = directory.new_member(tenant, email, name)
    else:
        user = directory.new_guest(tenant, email, name, "Guest")
        user.settle()
        if body.get("state", "Accepted") == "Accepted":
            directory.accept(user)
    user.enabled = bool(body.get("enabled", True))
    _set_fields(tenant, user, body)
    if body.get("state", "") is None:
        user.state = user.state_changed_at = None
    return user


def _set_fields(tenant: Tenant, user: User, body: Body) -> None:
    """Set what a request gives of a user."""
    before = list(user.addresses())
    user.mail = body.get("mail", user.mail)
    for name in ("other_mails", "proxy_addresses"):
        if name in body:
            setattr(user, name, tuple(str(address) for address in body[name]))
    tenant.reindex(user, before)
    if "creation_type" in body:
        user.creation_type = body["creation_type"]
    for name in ("created_at", "state_changed_at"):
        if name in body:
            setattr(user, name, None if body[name] is None else str(body[name]))
    if isinstance(sign_ins := body.get("sign_ins"), dict):
        user.sign_ins = {str(kind): str(at) for kind, at in sign_ins.items()}
    if isinstance(attributes := body.get("extension_attributes"), dict):
        user.extra = {**(user.extra or {}), "onPremisesExtensionAttributes": attributes}
    if "company" in body:
        user.extra = {**(user.extra or {}), "companyName": str(body["company"])}
    if "sponsors" in body:
        found = (tenant.find(str(address)) for address in body["sponsors"])
        user.sponsors = tuple(sponsor.id for sponsor in found if sponsor)


def _accept(world: World, tenant: Tenant, user: User, body: Body) -> None:
    world.directory.accept(user)
    user.enabled = True


def _sign_in(world: World, tenant: Tenant, user: User, body: Body) -> None:
    kinds = _SIGN_INS.get(str(body.get("how", "")))
    if kinds is None:
        raise OptionError(f"'how' is {', '.join(filter(None, _SIGN_INS))} or empty.")
    user.sign_ins = {**(user.sign_ins or {}), **dict.fromkeys(kinds, world.clock.stamp())}


def _give_role(world: World, tenant: Tenant, user: User, body: Body) -> None:
    if body.get("role") not in ("", ASSIGNED, ELIGIBLE):
        raise OptionError(f"'role' is {ASSIGNED}, {ELIGIBLE} or empty.")
    user.role = body["role"]


_ACTIONS: dict[str, Callable[[World, Tenant, User, Body], None]] = {
    "accept": _accept,
    "sign_in": _sign_in,
    "change": lambda world, tenant, user, body: _set_fields(tenant, user, body),
    "disable": lambda world, tenant, user, body: setattr(user, "enabled", False),
    "enable": lambda world, tenant, user, body: setattr(user, "enabled", True),
    "role": _give_role,
    "delete": lambda world, tenant, user, body: tenant.remove(user, world.clock.stamp()),
    "purge": lambda world, tenant, user, body: tenant.remove(user, None),
}
"""What can be done to a user who is there."""
