"""Groups, as the control API shows them with their members, makes them and changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.directory import Tenant
from sandbox.groups import KINDS, Group, make_group
from sandbox.options import OptionError
from sandbox.resources.groups import join, members_of
from sandbox.resources.roles import ASSIGNED, ELIGIBLE
from sandbox.world import World

Body = dict[str, Any]
_OPTIONS = frozenset({"name", "kind", "guests", "most", "team", "members", "owners", "role"})


def show_groups(tenant: Tenant, query: dict[str, str]) -> list[Body]:
    """Return the groups, or those of one name (or id), with the addresses of their members."""
    wanted = query.get("name", "").lower()
    return [
        _show(tenant, group)
        for group in tenant.groups.values()
        if not wanted or wanted in (group.display_name.lower(), group.id)
    ]


def change_groups(world: World, tenant: Tenant, body: Body) -> Body:
    """Make, change, empty or remove groups: one, or those of a list named `groups`. Raises
    `OptionError`, and then has done nothing.
    """
    doing = _ACTIONS.get(str(body.get("action")))
    if doing is None:
        raise OptionError(f"'action' is one of {', '.join(_ACTIONS)}.")
    entries = body.get("groups", [{key: body[key] for key in body.keys() - {"action", "tenant_id"}}])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise OptionError("'groups' is a list of objects.")
    for entry in entries:
        _check(tenant, entry)
    groups = [doing(world, tenant, entry) for entry in entries]
    return {"groups": [_show(tenant, group) for group in groups]}


def _check(tenant: Tenant, entry: Body) -> None:
    if not entry.keys() <= _OPTIONS or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise OptionError(f"A group has a 'name' and any of {', '.join(sorted(_OPTIONS - {'name'}))}.")
    if entry.get("kind", "security") not in KINDS:
        raise OptionError(f"'kind' is one of {', '.join(KINDS)}.")
    if not all(isinstance(entry.get(name, True), bool) for name in ("guests", "team")):
        raise OptionError("'guests' and 'team' are true or false.")
    most = entry.get("most")
    if most is not None and (type(most) is not int or most < 0):
        raise OptionError("'most' is a number of members, or null for any number.")
    if entry.get("role", "") not in ("", ASSIGNED, ELIGIBLE):
        raise OptionError(f"'role' is {ASSIGNED}, {ELIGIBLE} or empty.")
    unknown = [
        address
        for address in (*entry.get("members", ()), *entry.get("owners", ()))
        if tenant.find(str(address)) is None
    ]
    if unknown:
        raise OptionError(f"There is no user with the address {unknown[0]}.")


def _add(world: World, tenant: Tenant, entry: Body) -> Group:
    """Make a group; one of the same name beside another gets an id of its own."""
    same = sum(group.display_name == entry["name"] for group in tenant.groups.values())
    group = make_group(
        f"{tenant.id}|{same}" if same else tenant.id,
        tenant.domains[0],
        entry["name"],
        entry.get("kind", "security"),
        guests=entry.get("guests", True),
        most=entry.get("most"),
        team=entry.get("team", False),
    )
    group.role = entry.get("role", "")
    group.owners = _ids(tenant, entry.get("owners", []))
    tenant.add_group(group)
    world.recorder.group_changed(tenant, group)
    _set_members(world, tenant, group, entry.get("members", []))
    return group


def _change(world: World, tenant: Tenant, entry: Body) -> Group:
    group = _named(tenant, entry)
    for name in entry.keys() & {"kind", "guests", "most", "team", "role"}:
        setattr(group, name, entry[name])
    if "owners" in entry:
        group.owners = _ids(tenant, entry["owners"])
    world.recorder.group_changed(tenant, group)
    if "members" in entry:
        _set_members(world, tenant, group, entry["members"])
    return group


def _remove(world: World, tenant: Tenant, entry: Body) -> Group:
    group = _named(tenant, entry)
    del tenant.groups[group.id]
    return group


def _set_members(world: World, tenant: Tenant, group: Group, addresses: list[Any]) -> None:
    left = tuple(group.members)
    group.members.clear()
    users = [user for address in addresses if (user := tenant.find(str(address))) is not None]
    join(group, users)
    world.recorder.members_changed(tenant, group, left=left)
    world.recorder.members_changed(tenant, group, joined=tuple(group.members))


def _ids(tenant: Tenant, addresses: list[Any]) -> tuple[str, ...]:
    return tuple(user.id for address in addresses if (user := tenant.find(str(address))) is not None)


def _named(tenant: Tenant, entry: Body) -> Group:
    found = [group for group in tenant.groups.values() if entry["name"] in (group.display_name, group.id)]
    if len(found) != 1:
        raise OptionError(f"{len(found)} groups are called '{entry['name']}'.")
    return found[0]


def _show(tenant: Tenant, group: Group) -> Body:
    return {
        "id": group.id,
        "name": group.display_name,
        "kind": group.kind,
        "mail": group.mail,
        "guests": group.guests,
        "most": group.most,
        "team": group.team,
        "members": [user.mail for user in members_of(tenant, group)],
    }


_ACTIONS: dict[str, Callable[[World, Tenant, Body], Group]] = {"add": _add, "change": _change, "remove": _remove}
