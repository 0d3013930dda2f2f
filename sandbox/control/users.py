"""Users, as the control API shows and changes them."""

from __future__ import annotations

from typing import Any

from sandbox.directory import Tenant, User
from sandbox.options import OptionError
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
    """Do something to one user. Raises `OptionError`."""
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
    elif action == "delete":
        tenant.remove(user, world.clock.stamp())
    elif action == "purge":
        tenant.remove(user, None)
        world.recorder.user_purged(tenant, user)
        return {"user": show_user(user)}
    else:
        raise OptionError("'action' is add, accept, disable, enable, delete or purge.")
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
    if "created_at" in body:
        user.created_at = str(body["created_at"])
    return user
