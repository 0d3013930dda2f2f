"""Applications that a tenant has besides the one that signs in, as the control API makes them."""

from __future__ import annotations

from typing import Any

from sandbox.directory import Registration, Tenant
from sandbox.ids import guid
from sandbox.options import OptionError
from sandbox.world import World

Body = dict[str, Any]


def change_applications(world: World, tenant: Tenant, body: Body) -> Body:
    """Register an application, or remove one, by its name. Raises `OptionError`."""
    name, action = body.get("name"), body.get("action")
    if not isinstance(name, str) or not name:
        raise OptionError("An application has a 'name'.")
    app_id = guid(f"registration|{tenant.id}|{name}")
    if action == "add":
        ends = {kind: _read_ends(world, body.get(kind, [])) for kind in ("secrets", "certificates")}
        tenant.registrations[app_id] = Registration(app_id, name, **ends)
    elif action == "remove":
        if tenant.registrations.pop(app_id, None) is None:
            raise OptionError(f"There is no application called '{name}'.")
    else:
        raise OptionError("'action' is add or remove.")
    return {"app_id": app_id}


def _read_ends(world: World, entries: Any) -> tuple[tuple[str, str], ...]:
    """Read `[{"name": …, "in_s": 864000}, …]`: names and when each ends."""
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("in_s"), int | float) for entry in entries
    ):
        raise OptionError("'secrets' and 'certificates' are lists of objects with 'name' and 'in_s'.")
    return tuple((str(entry.get("name", "")), world.clock.stamp_before(-entry["in_s"])) for entry in entries)
