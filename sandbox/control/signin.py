"""What a test does to the console's application: roles, redirect addresses, keys, and tokens that
nobody should believe.
"""

from __future__ import annotations

from typing import Any

from sandbox.directory import Tenant
from sandbox.options import OptionError
from sandbox.world import World

Body = dict[str, Any]


def change_signin(world: World, tenant: Tenant, body: Body) -> Body:
    """Carry out one change: `roles` (of an `address` or a `client_id`), `redirect_uris`, `roll`
    (with keep_old), or `mint` (claims over those of either; `forge`: how it is false).
    """
    sign_in, app = world.sign_in, world.sign_in.app
    action = body.get("action")
    if action == "roles":
        roles = [str(role) for role in body["roles"]]
        if "client_id" in body:
            app.programs[str(body["client_id"])] = roles
        else:
            app.people[_user(tenant, body).id] = roles
    elif action == "redirect_uris":
        app.redirect_uris = {str(uri) for uri in body["uris"]}
    elif action == "roll":
        return {"kid": sign_in.keys.roll(keep_old=bool(body.get("keep_old")))}
    elif action == "mint":
        return {"token": _mint(world, tenant, body)}
    else:
        raise OptionError("'action' is roles, redirect_uris, roll or mint.")
    return {"client_id": app.client_id}


def _mint(world: World, tenant: Tenant, body: Body) -> str:
    sign_in, base_url = world.sign_in, world.inviter.base_url
    if "address" in body:
        claims = sign_in.claims_of(tenant, _user(tenant, body), base_url)
    else:
        claims = sign_in.program_claims(tenant, str(body.get("client_id", "a-program")), base_url)
    claims |= body.get("claims", {})
    claims = {name: value for name, value in claims.items() if value is not None}
    return sign_in.keys.forge(claims, str(body["forge"])) if "forge" in body else sign_in.keys.sign(claims)


def _user(tenant: Tenant, body: Body) -> Any:
    user = tenant.find(str(body.get("address", "")))
    if user is None:
        raise OptionError("'address' is that of somebody in the tenant.")
    return user
