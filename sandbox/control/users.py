"""Users, as the control API shows and changes them."""

from __future__ import annotations

from typing import Any

from sandbox.directory import Tenant, User
from sandbox.options import OptionError
from sandbox.resources.roles import ASSIGNED, ELIGIBLE
from sandbox.world import World

Body = dict[str, Any]


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
    elif user is None:
        raise OptionError(f"There is no user with the address {email or '(none given)'}.")
    elif action in ("accept", "disable", "enable"):
        if action == "accept":
            world.directory.accept(user)
        user.enabled = action != "disable"
    elif action == "role":
        if body.get("role") not in ("", ASSIGNED, ELIGIBLE):
            raise OptionError(f"'role' is {ASSIGNED}, {ELIGIBLE} or empty.")
        user.role = body["role"]
    elif action == "delete":
        tenant.remove(user, world.clock.stamp())
    elif action == "purge":
        tenant.remove(user, None)
        world.recorder.user_purged(tenant, user)
        return {"user": show_user(user)}
    else:
        raise OptionError("'action' is add, accept, disable, enable, role, delete or purge.")
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
    if body.get("state", "") is None:
        user.state = user.state_changed_at = None
    user.enabled = bool(body.get("enabled", True))
    if isinstance(sign_ins := body.get("sign_ins"), dict):
        user.sign_ins = {str(kind): str(at) for kind, at in sign_ins.items()}
    user.sponsors = tuple(sponsor.id for address in body.get("sponsors", ()) if (sponsor := tenant.find(str(address))))
    return user
